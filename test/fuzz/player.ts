import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import type { ClickHouse } from '../../cli/components/clickhouse/client.ts';
import { pgIdent, pgLiteral } from '../../cli/lib/sql.ts';
import { source } from '../harness/database.ts';
import { hangOn } from './objects.ts';
import type { Op, Program, Step, TableSpec } from './program.ts';
import { statementsOf } from './statements.ts';
import { columnsOf, createTable, type Types } from './tables.ts';

interface Connection {
  readonly label: string;
  readonly client: pg.Client & AsyncDisposable;
  open: boolean;
  savepoints: number;
}

/** What a statement that waits for a lock waits at most: its holder's turn comes only afterwards. */
const LOCK_TIMEOUT_MS = 100;

/**
 * Plays one program on two connections. Statements run one by one, whichever connection they are
 * on, so that a program does the same every time; what PostgreSQL refuses is part of it: the
 * transaction is rolled back, to its last savepoint if it has one.
 */
export class Player {
  /** Everything that was run, for whoever has to understand a difference. */
  readonly log: string[] = [];
  statements = 0;
  refused = 0;
  readonly program: Program;
  readonly base: string;
  private readonly index: number;
  private readonly types: Types;
  private readonly connections: Connection[] = [];
  /** The table, and the ones that took its place; a rollback can bring an earlier one back. */
  private readonly oids: string[] = [];
  private readonly dropped: string[] = [];
  private steps = 0;
  private wasCounted = false;

  constructor(program: Program, types: Types, index: number) {
    this.program = program;
    this.types = types;
    this.index = index;
    this.base = `t${index}`;
  }

  async open(): Promise<void> {
    for (const label of ['A', 'B']) {
      const client = await source();
      await client.query(
        `SET lock_timeout = ${LOCK_TIMEOUT_MS}; SET statement_timeout = '30s'; SET client_min_messages = error`,
      );
      this.connections.push({ label, client, open: false, savepoints: 0 });
    }
    const [first] = this.connections;
    if (!first) throw new Error('no connection');
    const { table } = this.program;
    const name = `${this.base}_${table.name}`;
    // A type that PostgreSQL cannot make a key of after all, or a value no default, is not worth a batch.
    const plain: TableSpec = {
      ...table,
      key: table.key.map((k) => ({ ...k, type: 0 })),
      columns: table.columns.map((c) => ({ ...c, hasDefault: false })),
    };
    if (!(await this.create(first, name, table)) && !(await this.create(first, name, plain)))
      throw new Error(`no table: ${this.log.at(-1)}`);
    await this.neighbour(first, name);
    await this.remember(first, name);
  }

  /** A table of the name that the storage of another's copy would have; of one in ten, as the copies of all stand beside. */
  private async neighbour(connection: Connection, name: string): Promise<void> {
    if (this.index % 10 !== 3 || Buffer.byteLength(name) > 50) return;
    const table = pgIdent(this.types.schema, `${name}_final`);
    await this.run(connection, `CREATE TABLE ${table} (id int PRIMARY KEY, v text)`);
    await this.run(connection, `INSERT INTO ${table} SELECT i, 'v' FROM generate_series(1, 5) i`);
  }

  private async create(connection: Connection, name: string, spec: TableSpec): Promise<boolean> {
    const [create = '', ...rest] = createTable(this.types, name, spec);
    if (!(await this.run(connection, create))) return false;
    for (const sql of rest) await this.run(connection, sql);
    return true;
  }

  async close(): Promise<void> {
    for (const { client } of this.connections) await client.end().catch(() => {});
  }

  /** Plays steps, and leaves no transaction open. */
  async play(steps: readonly Step[]): Promise<void> {
    for (const step of steps) {
      if (step.pauseMs > 0) await delay(step.pauseMs);
      const connection = this.connections[step.connection];
      if (!connection) throw new Error('no connection');
      this.steps += 1;
      await this.step(connection, step.does);
    }
    for (const connection of this.connections) await this.end(connection, 'COMMIT');
  }

  /** Somebody makes something on the copy. */
  async hangOn(clickhouse: ClickHouse): Promise<void> {
    const [first] = this.connections;
    if (!first) throw new Error('no connection');
    const { name } = await this.table(first);
    const made = await hangOn(clickhouse, this.types.schema, name, this.index);
    if (made) this.log.push(made);
  }

  private async step(connection: Connection, does: Op): Promise<void> {
    switch (does.op) {
      case 'begin':
        if (!connection.open) await this.begin(connection);
        return;
      case 'commit':
        return this.end(connection, 'COMMIT');
      case 'rollback':
        return this.end(connection, 'ROLLBACK');
      case 'savepoint':
        if (
          connection.open &&
          (await this.run(connection, `SAVEPOINT s${connection.savepoints + 1}`))
        )
          connection.savepoints += 1;
        return;
      case 'back':
        if (connection.savepoints > 0)
          await this.run(connection, `ROLLBACK TO SAVEPOINT s${connection.savepoints}`);
        return;
      case 'prepare':
        return this.prepare(connection, does.commit);
      default:
        return this.change(connection, does);
    }
  }

  private async change(connection: Connection, does: Op): Promise<void> {
    const isDdl = !CHANGES.has(does.op);
    // It would wait for the other's end, which comes later.
    if (isDdl) {
      for (const other of this.connections)
        if (other !== connection) await this.end(other, 'COMMIT');
    }
    if (does.op === 'vacuum') await this.end(connection, 'COMMIT');
    const now = await this.table(connection);
    const columns = await columnsOf(connection.client, now.oid);
    if (!columns.some((c) => c.unique) || now.deferrable === '1') this.wasCounted = true;
    const { sql, whole } = statementsOf(does, {
      types: this.types,
      table: now.name,
      base: this.base,
      columns,
      partitioned: now.kind === 'p',
      constraint:
        now.constraint === null
          ? undefined
          : { name: now.constraint, deferrable: now.deferrable === '1' },
      identity: now.identity,
      wasCounted: this.wasCounted,
      step: this.steps,
      dropped: this.dropped,
    });
    const own = whole === true && sql.length > 0 && !connection.open;
    if (own) await this.begin(connection);
    for (const statement of sql) if (!(await this.run(connection, statement))) return;
    if (does.op === 'recreate') await this.remember(connection, now.name);
    if (own) await this.end(connection, 'COMMIT');
    if (does.op === 'drop') {
      const left = new Set((await columnsOf(connection.client, now.oid)).map((c) => c.name));
      this.dropped.push(...columns.map((c) => c.name).filter((name) => !left.has(name)));
    }
  }

  private async begin(connection: Connection): Promise<void> {
    if (await this.run(connection, 'BEGIN'))
      Object.assign(connection, { open: true, savepoints: 0 });
  }

  private async end(connection: Connection, how: 'COMMIT' | 'ROLLBACK'): Promise<void> {
    if (!connection.open) return;
    // Whatever becomes of the statement, the transaction is over.
    Object.assign(connection, { open: false, savepoints: 0 });
    await this.run(connection, how);
  }

  private async prepare(connection: Connection, commit: boolean): Promise<void> {
    if (!connection.open) return;
    Object.assign(connection, { open: false, savepoints: 0 });
    const gid = pgLiteral(`${this.types.schema} ${this.base} ${this.steps}`);
    if (await this.run(connection, `PREPARE TRANSACTION ${gid}`))
      await this.run(connection, `${commit ? 'COMMIT' : 'ROLLBACK'} PREPARED ${gid}`);
  }

  /** False when PostgreSQL refused it; then what it was part of is undone. */
  private async run(connection: Connection, sql: string): Promise<boolean> {
    this.statements += 1;
    try {
      const { rowCount } = await connection.client.query(sql);
      this.log.push(`${connection.label}: ${sql};  -- ${rowCount ?? 'ok'}`);
      return true;
    } catch (error) {
      const { code, message } = error as Error & { code?: string };
      this.log.push(`${connection.label}: ${sql};  -- ${code ?? ''} ${message}`);
      // Without a code it was not PostgreSQL that spoke: the connection is gone.
      if (code === undefined || !/^[0-9A-Z]{5}$/.test(code)) throw error;
      this.refused += 1;
      if (!connection.open) return false;
      if (connection.savepoints > 0) {
        await connection.client.query(`ROLLBACK TO SAVEPOINT s${connection.savepoints}`);
      } else {
        await connection.client.query('ROLLBACK');
        connection.open = false;
      }
      return false;
    }
  }

  private async remember(connection: Connection, name: string): Promise<void> {
    const found = await connection.client.query<{ oid: string }>(
      `SELECT c.oid FROM pg_class c WHERE c.relnamespace = $1::regnamespace AND c.relname = $2`,
      [this.types.schema, name],
    );
    if (found.rows[0]) this.oids.push(found.rows[0].oid);
  }

  private async table(connection: Connection) {
    const found = await connection.client.query<{
      oid: string;
      name: string;
      kind: string;
      identity: string;
      constraint: string | null;
      deferrable: string | null;
    }>(
      `SELECT c.oid, c.relname AS name, c.relkind AS kind, c.relreplident AS identity,
              p.conname AS constraint, p.condeferrable::int AS deferrable
         FROM pg_class c LEFT JOIN pg_constraint p ON p.conrelid = c.oid AND p.contype = 'p'
        WHERE c.oid = ANY ($1::oid[]) ORDER BY array_position($1::oid[], c.oid) DESC LIMIT 1`,
      [this.oids],
    );
    const [now] = found.rows;
    if (!now) throw new Error(`${this.base} has no table`);
    return now;
  }
}

const CHANGES: ReadonlySet<Op['op']> = new Set([
  'insert',
  'copy',
  'bulk',
  'update',
  'large',
  'touch',
  'key',
  'shift',
  'swap',
  'again',
  'twins',
  'delete',
  'truncate',
]);
