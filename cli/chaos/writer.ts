import type pg from 'pg';
import { connectPostgres } from '../components/postgres/client.ts';
import { errorText } from '../core/problems.ts';
import { pause } from '../lib/wait.ts';
import type { PostgresEndpoint } from '../stack/endpoints.ts';
import { SCHEMA } from './tables.ts';

const LANES = 4;
/** Keys of a lane, in each table; lanes do not meet. */
const KEYS = 2000;
const LANE_KEYS = 1_000_000;
/** Row changes of one transaction, at most: an open loop that was held up catches up in these. */
const TRANSACTION_MOST = 200;
const TICK_MS = 20;
const RECONNECT_MS = 200;
/** One transaction of so many is rolled back. */
const ROLLED_BACK_EVERY = 20;

/** Writes at a rate, whatever becomes of it: an application that goes on when its database is back. */
export class ChaosWriter {
  private readonly endpoint: PostgresEndpoint;
  private readonly rate: number;
  private readonly stopping = new AbortController();
  private lanes: Promise<void>[] = [];
  private held: Promise<void> | undefined;
  private release = () => {};
  private readonly busy = new Set<number>();
  /** Row changes that were committed, as far as PostgreSQL said so. */
  written = 0;
  /** Transactions that failed, whether or not they were committed. */
  failed = 0;
  /** Why one of them failed last. */
  trouble: string | undefined;

  constructor(endpoint: PostgresEndpoint, rate: number) {
    this.endpoint = endpoint;
    this.rate = rate;
  }

  start(): void {
    this.lanes = Array.from({ length: LANES }, (_, lane) => this.lane(lane + 1));
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    this.release();
    await Promise.all(this.lanes);
  }

  /** Lets no transaction begin until `go`; resolves when none is open. */
  async hold(): Promise<void> {
    this.held ??= new Promise((resolve) => {
      this.release = resolve;
    });
    while (this.busy.size > 0 && !this.stopping.signal.aborted) await pause(TICK_MS);
  }

  go(): void {
    this.held = undefined;
    this.release();
  }

  private async lane(lane: number): Promise<void> {
    const { signal } = this.stopping;
    let client: pg.Client | undefined;
    let sinceMs = performance.now();
    let owed = 0;
    for (let turn = 1; !signal.aborted; turn += 1) {
      if (this.held) {
        await this.held;
        sinceMs = performance.now();
      }
      const nowMs = performance.now();
      owed += ((nowMs - sinceMs) / 1000) * (this.rate / LANES);
      sinceMs = nowMs;
      if (owed < 1) {
        await pause(TICK_MS, signal).catch(() => {});
        continue;
      }
      this.busy.add(lane);
      try {
        client ??= await connectPostgres(this.endpoint);
        const count = Math.min(TRANSACTION_MOST, Math.floor(owed));
        const written = await transaction(client, lane, turn, count);
        owed -= count;
        this.written += written;
      } catch (error) {
        this.failed += 1;
        this.trouble = errorText(error);
        void client?.end().catch(() => {});
        client = undefined;
        this.busy.delete(lane);
        await pause(RECONNECT_MS, signal).catch(() => {});
      } finally {
        this.busy.delete(lane);
      }
    }
    await client?.end().catch(() => {});
  }
}

/** Inserts, updates, deletes and rows whose key changes: about `count` row changes. @returns how many were committed. */
async function transaction(
  client: pg.Client,
  lane: number,
  turn: number,
  count: number,
): Promise<number> {
  const rollBack = turn % ROLLED_BACK_EVERY === 0;
  const share = (part: number) => Math.max(1, Math.round(count * part));
  let changed = 0;
  await client.query('BEGIN');
  // A small transaction is over after some of them: each begins with another one.
  for (let i = 0; i < STATEMENTS.length && changed < count; i += 1) {
    const [statement, rows] = STATEMENTS[(turn + i) % STATEMENTS.length] ?? ['', 0];
    const done = await client.query(statement, [lane * LANE_KEYS, share(rows)]);
    changed += done.rowCount ?? 0;
  }
  await client.query(rollBack ? 'ROLLBACK' : 'COMMIT');
  return rollBack ? 0 : changed;
}

/** $1: the lane's first key; $2: how many rows. */
const SOME = `SELECT DISTINCT $1::bigint + floor(random() * ${KEYS})::bigint AS id FROM generate_series(1, $2::int)`;
const BODY =
  "(SELECT string_agg(md5(random()::text || picked.id || g), '') FROM generate_series(1, 100) g)";

const STATEMENTS: readonly (readonly [string, number])[] = [
  [
    `INSERT INTO ${SCHEMA}.items SELECT id, 1, CASE WHEN random() < 0.9 THEN 'row ' || id END, round((random() * 1000)::numeric, 2), clock_timestamp() FROM (${SOME}) picked
      ON CONFLICT (id) DO UPDATE SET n = items.n + 1, note = excluded.note, changed = excluded.changed`,
    0.4,
  ],
  [
    `UPDATE ${SCHEMA}.items SET n = n + 1, amount = amount + 0.01, changed = clock_timestamp() WHERE id IN (${SOME})`,
    0.2,
  ],
  [`DELETE FROM ${SCHEMA}.items WHERE id IN (${SOME})`, 0.2],
  [
    `INSERT INTO ${SCHEMA}.pairs SELECT id, 0, 1 FROM (${SOME}) picked WHERE NOT EXISTS (SELECT FROM ${SCHEMA}.pairs p WHERE p.id = picked.id)`,
    0.05,
  ],
  [`UPDATE ${SCHEMA}.pairs SET step = step + 1, n = n + 1 WHERE id IN (${SOME})`, 0.2],
  [`DELETE FROM ${SCHEMA}.pairs WHERE id IN (${SOME})`, 0.02],
  [
    `INSERT INTO ${SCHEMA}.texts SELECT id, 1, ${BODY} FROM (${SOME}) picked ON CONFLICT (id) DO UPDATE SET body = excluded.body`,
    0.02,
  ],
  [`UPDATE ${SCHEMA}.texts SET n = n + 1 WHERE id IN (${SOME})`, 0.1],
  [`DELETE FROM ${SCHEMA}.texts WHERE id IN (${SOME})`, 0.01],
];
