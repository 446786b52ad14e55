import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pgIdent } from '../cli/lib/sql.ts';
import { cdc, cdcJson, eventually, freshSchema, source, stack } from './harness/database.ts';

/** What becomes of the copy when the source's replication slot is lost. */

let schema: Awaited<ReturnType<typeof freshSchema>>;
let table: string;

beforeAll(async () => {
  await using client = await source();
  schema = await freshSchema(client, 'slot');
  table = pgIdent(schema.name, 'events');
  await client.query(`CREATE TABLE ${table} (id int PRIMARY KEY, note text NOT NULL)`);
  await cdcJson('apply');
});

afterAll(async () => {
  await using client = await source();
  await client.query('ALTER SYSTEM RESET idle_replication_slot_timeout');
  await client.query('SELECT pg_reload_conf()');
  await cdcJson('up');
  await schema.drop();
  await cdcJson('apply');
});

async function slotState(): Promise<string | undefined> {
  await using client = await source();
  const found = await client.query<{ state: string }>(
    `SELECT CASE WHEN active THEN 'active' ELSE wal_status END AS state
       FROM pg_replication_slots WHERE slot_name = $1`,
    [stack().names.slot],
  );
  return found.rows[0]?.state;
}

/** Rows that the copy has, and then a connector that does not read any more. */
async function copyAndStop(): Promise<void> {
  await using client = await source();
  await client.query(
    `INSERT INTO ${table} SELECT g, 'before' FROM generate_series(1, 20) g
     ON CONFLICT (id) DO UPDATE SET note = 'before'`,
  );
  expect(await cdcJson('verify', `${schema.name}.events`)).toMatchObject({ ok: true, rows: 20 });
  await cdcJson('connector', 'pause');
  await eventually('the slot to be left', 'reserved', slotState);
}

async function changeWhileGone(): Promise<void> {
  await using client = await source();
  await client.query(`DELETE FROM ${table} WHERE id <= 5`);
  await client.query(`UPDATE ${table} SET note = 'while it was gone' WHERE id = 6`);
  await client.query(`UPDATE ${table} SET id = 100 WHERE id = 7`);
  await client.query(`INSERT INTO ${table} VALUES (101, 'while it was gone')`);
}

async function findingIds(): Promise<string[]> {
  const ran = await cdc('doctor', '--json');
  expect(ran.exit).toBe(6);
  return (ran.json().findings as { id: string }[]).map((finding) => finding.id);
}

async function agentSays(pattern: RegExp): Promise<boolean> {
  const { components } = (await cdc('status', '--json')).json();
  return components.some(
    (part: { name: string; detail?: string }) =>
      part.name === 'agent' && pattern.test(part.detail ?? ''),
  );
}

/** Everything is equal again, also what was deleted meanwhile, and changes flow. */
async function flowsAndIsEqual(): Promise<void> {
  expect((await cdcJson('verify')).ok).toBe(true);
  await using client = await source();
  await client.query(`INSERT INTO ${table} VALUES (200, 'after') `);
  await client.query(`DELETE FROM ${table} WHERE id = 101`);
  expect(await cdcJson('verify', `${schema.name}.events`)).toMatchObject({ ok: true, rows: 16 });
  await client.query(`DELETE FROM ${table}`);
  expect((await cdcJson('plan')).changes).toEqual([]);
}

describe('a replication slot', () => {
  it('is let go while the connector is paused, also when that is restarted, and read on when it is resumed', async () => {
    await copyAndStop();
    expect(await cdcJson('connector', 'pause')).toMatchObject({ result: 'unchanged' });
    await changeWhileGone();
    expect(await cdcJson('connector', 'restart')).toMatchObject({ state: 'STOPPED' });
    expect(await slotState()).toBe('reserved');
    expect(await cdcJson('connector', 'resume')).toMatchObject({ state: 'RUNNING' });
    expect((await cdcJson('plan')).changes).toEqual([]);
    await flowsAndIsEqual();
  });

  it('that somebody dropped is noticed, made again by up, and nothing differs after that', async () => {
    await copyAndStop();
    await using client = await source();
    await client.query('SELECT pg_drop_replication_slot($1)', [stack().names.slot]);
    await changeWhileGone();
    expect(await findingIds()).toContain('slot-missing');
    await eventually('the agent to say so', true, () => agentSays(/slot .* is not there/));
    expect(await cdcJson('up')).toMatchObject({ result: 'changed' });
    await flowsAndIsEqual();
  });

  it('that was invalidated is noticed, replaced by apply, and nothing differs after that', async () => {
    await copyAndStop();
    await using client = await source();
    await client.query("ALTER SYSTEM SET idle_replication_slot_timeout = '1s'");
    await client.query('SELECT pg_reload_conf()');
    await eventually('the server to invalidate it', 'lost', async () => {
      await client.query('CHECKPOINT');
      return slotState();
    });
    await client.query('ALTER SYSTEM RESET idle_replication_slot_timeout');
    await client.query('SELECT pg_reload_conf()');
    await changeWhileGone();
    expect(await findingIds()).toContain('slot-lost');
    await eventually('the agent to say so', true, () => agentSays(/slot .* has lost WAL/));
    expect((await cdc('register-connector', '--json')).json().error.code).toBe('SLOT_LOST');
    await cdcJson('apply');
    await flowsAndIsEqual();
  });
});
