import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { expect } from 'vitest';
import { chIdent } from '../../cli/lib/sql.ts';
import { cdcJson, eventually, source, target } from './database.ts';

export type Write = (client: pg.Client, i: number) => Promise<unknown>;

/** Writes with hardly a pause until it is stopped; what is wrong with a statement fails the test. */
export function writing(write: Write, { connect = source, pauseMs = 2 } = {}) {
  let running = true;
  let count = 0;
  let busy: Promise<unknown> = Promise.resolve();
  let gate: Promise<unknown> = Promise.resolve();
  const ended = (async () => {
    await using client = await connect();
    for (; running; count += 1) {
      await gate;
      busy = write(client, count);
      await busy;
      await delay(pauseMs);
    }
  })();
  return {
    passes: (n: number) => {
      const goal = count + n;
      return Promise.race([ended, eventually(`${n} more writes`, true, async () => count >= goal)]);
    },
    /** A statement that knows only the old form must not wait for the new one. */
    between: async (change: () => Promise<void>) => {
      let open = () => {};
      gate = new Promise<void>((resolve) => {
        open = resolve;
      });
      await busy;
      await change();
      open();
    },
    stop: async () => {
      running = false;
      await ended;
    },
  };
}

export interface Entry {
  readonly by: string;
  readonly changes: string[];
  readonly statements: string[];
  readonly result: string;
  readonly started: number;
}

/** What the agent did since a moment that named a table of this test. */
export async function entries(table: string, sinceMs: number): Promise<Entry[]> {
  await using clickhouse = target();
  return await clickhouse.rows<Entry>(
    `SELECT by, changes, statements, result, toUnixTimestamp64Milli(at) / 1000 - seconds AS started
       FROM cdc.history WHERE at > fromUnixTimestamp64Milli({since:Int64})
        AND arrayExists(c -> position(c, {table:String}) > 0, changes) ORDER BY at`,
    { since: Math.floor(sinceMs), table },
  );
}

/** No value differs, and nothing was left for the dead letters. */
export async function equal(table: string): Promise<void> {
  expect(await cdcJson('verify', table)).toMatchObject({ ok: true });
  await using clickhouse = target();
  const [schemaName, name] = table.split('.');
  const letters = await clickhouse.rows(
    `SELECT op, image, reason FROM cdc.dead_letters FINAL
      WHERE schema_name = {schemaName:String} AND table_name = {name:String}`,
    { schemaName, name },
  );
  expect(letters).toEqual([]);
}

export async function columnsOf(table: string): Promise<string[]> {
  await using clickhouse = target();
  const [database = '', name = ''] = table.split('.');
  const found = await clickhouse.rows<{ name: string; type: string }>(
    `DESCRIBE TABLE ${chIdent(database, name)}`,
  );
  return found.map((c) => `${c.name} ${c.type}`);
}
