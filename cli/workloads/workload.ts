import type pg from 'pg';

/** A built-in load on the source database: its tables, and how they change. */
export interface Workload {
  readonly name: string;
  /** One line for help texts. */
  readonly summary: string;
  /** The PostgreSQL schema that holds the tables. */
  readonly schema: string;
  /** File in sql/postgres; to be run before `open`, as often as one likes. */
  readonly setupFile: string;
  /** Names without the schema. */
  readonly tables: readonly string[];
  /** Row changes per second when the user names none. */
  readonly defaultRate: number;
  /**
   * Reads what it needs to know (ids, catalogue) and returns the generator of changes. The pool
   * stays the caller's: its size, its `error` listener and its end.
   */
  open(pool: pg.Pool, options: OpenOptions): Promise<Writer>;
}

export interface OpenOptions {
  /** Repeats the same decisions; identities (event and session ids) are new in every run. */
  readonly seed?: number;
  readonly now: () => Date;
}

export interface Writer {
  /**
   * Writes at most `count` row changes (inserts, updates and deletes together) in one transaction
   * and returns how many were committed; it falls short only by a change that does not fit into
   * what is left. Several calls may be under way at once. A call that failed is repeated by a later
   * one exactly as it was, whatever that one's count. After `signal` fires a call settles within
   * about a second.
   */
  write(count: number, signal: AbortSignal): Promise<Written>;
}

/** Row changes that were committed. */
export interface Written {
  inserts: number;
  updates: number;
  deletes: number;
}

export const NOTHING_WRITTEN: Readonly<Written> = { inserts: 0, updates: 0, deletes: 0 };

export function totalOf(written: Readonly<Written>): number {
  return written.inserts + written.updates + written.deletes;
}
