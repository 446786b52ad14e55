import type { LoadProgress, LoadResult } from './load.ts';

/** Who reads the rows: ClickHouse with `postgresql()`, or Debezium. */
export type Method = 'pull' | 'debezium';

export interface TableLoad extends LoadResult {
  readonly method: Method;
  /** Rows of the copy that the source does not have, ended. */
  readonly removed: number;
}

export interface LoadEvents {
  step(text: string): void;
  loading(progress: LoadProgress): void;
  /** All rows of a table are read. */
  loaded?(result: LoadResult): void;
  /** The load of a table ended before its time; others follow. */
  failed?(text: string): void;
  /** Something to know even when all goes well. */
  remark?(text: string): void;
}
