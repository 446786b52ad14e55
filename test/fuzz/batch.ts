import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inject } from 'vitest';
import { withKafkaAdmin } from '../../cli/components/kafka/client.ts';
import { topicName } from '../../cli/core/names.ts';
import { chIdent } from '../../cli/lib/sql.ts';
import type { ServerName } from '../../cli/stack/endpoints.ts';
import { cdc, cdcJson, freshSchema, source, stack, target } from '../harness/database.ts';
import { kill } from '../harness/servers.ts';
import { typesSql } from '../harness/types.ts';
import { type Compared, compareTable } from './compare.ts';
import { Player } from './player.ts';
import { isCounted, type Program } from './program.ts';
import { typesOf } from './tables.ts';
import { ownTypesSql } from './values.ts';

export interface Totals {
  programs: number;
  statements: number;
  /** Statements that PostgreSQL refused. */
  refused: number;
  tables: number;
  rows: number;
  values: number;
  /** Values that do not fit, which the copy has as text beside what stands in for them. */
  kept: number;
  snapshots: number;
  kills: number;
  /** Programs whose changes of form the agent carried over. */
  followed: number;
}

export interface Failure {
  /** Place of the program in its run; absent where a command failed for the whole batch. */
  readonly index?: number;
  readonly what: string;
  readonly log: readonly string[];
}

export interface Batch {
  readonly programs: ReadonlyMap<number, Program>;
  readonly kill: ServerName | undefined;
  /** The agent carries changes of form over, while the programs go on. */
  readonly followed: boolean;
}

/** What is only late gets this long after `cdc verify` said that it is there. */
const LATE_MS = 10_000;

/** Schemas that were played in and dropped; the next batch's `apply` tells the copy. */
const left: string[] = [];

/** Plays programs at the same time, each on a table of its own, and compares at the end. */
export async function playBatch(batch: Batch, totals: Totals): Promise<Failure[]> {
  await using client = await source();
  const schema = await freshSchema(client, 'fuzz');
  const players: Player[] = [];
  const restore = batch.followed ? configured('apply') : () => {};
  try {
    await client.query(typesSql(schema.name) + ownTypesSql(schema.name));
    const types = await typesOf(client, schema.name);
    for (const [index, program] of batch.programs) players.push(new Player(program, types, index));
    await play(players, batch, schema.name, totals);
    const failures = await compare(players, schema.name, totals);
    for (const player of players) {
      totals.programs += 1;
      if (batch.followed) totals.followed += 1;
      totals.statements += player.statements;
      totals.refused += player.refused;
    }
    return failures;
  } catch (error) {
    return [{ what: messageOf(error), log: players.flatMap((player) => player.log) }];
  } finally {
    for (const player of players) await player.close();
    restore();
    await schema.drop();
    left.push(schema.name);
  }
}

/** What the agent does about changes of form; it reads the file twice a second. */
function configured(mode: 'apply' | 'report'): () => void {
  const file = join(inject('stackDirectory'), 'cdc.yaml');
  const before = readFileSync(file, 'utf8');
  writeFileSync(file, `ports: auto\nagent: { schema_changes: ${mode} }\n`);
  return () => writeFileSync(file, before);
}

/** Ends what is left of earlier batches: in the copy, where it stays for somebody to drop, and in Kafka. */
export async function sweep(): Promise<void> {
  if (left.length === 0) return;
  await cdcJson('apply');
  await forget();
}

async function forget(): Promise<void> {
  const schemas = left.splice(0);
  if (schemas.length === 0) return;
  await using clickhouse = target();
  const { endpoints, names } = stack();
  await withKafkaAdmin(endpoints.kafka, async (admin) => {
    const topics = await admin.listTopics();
    for (const schema of schemas) {
      await clickhouse.command(`DROP DATABASE IF EXISTS ${chIdent(schema)}`);
      const prefix = topicName(names.topicPrefix, { schema, table: 't' });
      const gone = topics.filter((topic) => topic.startsWith(prefix));
      if (gone.length > 0) await admin.deleteTopics({ topics: gone });
    }
  });
}

async function play(
  players: readonly Player[],
  batch: Batch,
  schema: string,
  totals: Totals,
): Promise<void> {
  const all = (work: (player: Player) => Promise<void>) => together(...players.map(work));
  await all(async (player) => {
    await player.open();
    await player.play(player.program.before);
  });
  if (batch.followed) {
    const { kill } = batch;
    const phases = async (p: Player) => {
      for (const steps of [p.program.first, p.program.second, p.program.third, p.program.last])
        await p.play(steps);
    };
    await together(...(kill === undefined ? [] : [killed(kill, totals)]), all(phases));
    // What the agent has not come to yet, or what it was at when the programs ended.
    await cdcJson('apply');
    return;
  }
  await together(
    cdcJson('apply'),
    all((p) => p.play(p.program.first)),
  );
  await using clickhouse = target();
  await all((p) => p.hangOn(clickhouse));
  await together(
    batch.kill === undefined ? snapshots(players, schema, totals) : killed(batch.kill, totals),
    all((p) => p.play(p.program.second)),
  );
  await all((p) => p.play(p.program.third));
  await together(
    cdcJson('apply'),
    all((p) => p.play(p.program.last)),
  );
}

/** Waits for all, also when one of them fails: nothing may go on behind the next step's back. */
async function together(...work: Promise<unknown>[]): Promise<void> {
  const failed = (await Promise.allSettled(work)).find((result) => result.status === 'rejected');
  if (failed?.status === 'rejected') throw failed.reason;
}

async function snapshots(
  players: readonly Player[],
  schema: string,
  totals: Totals,
): Promise<void> {
  for (const method of ['pull', 'debezium'] as const) {
    const chosen = players.filter((p) => methodOf(p.program) === method);
    if (chosen.length === 0) continue;
    const patterns = chosen.map((p) => `${schema}.${p.base}_*`);
    await snapshot(patterns, method);
    totals.snapshots += chosen.length;
  }
}

/** Does what the command says where it refuses: a table can be rewritten, or get a refcursor, at any moment. */
async function snapshot(patterns: readonly string[], method: 'pull' | 'debezium'): Promise<void> {
  const ran = await cdc('snapshot', ...patterns, '--method', method);
  if (ran.exit === 0) return;
  if (ran.stderr.includes('that a refcursor names')) await snapshot(patterns, 'pull');
  else if (ran.stderr.includes('was rewritten while it was read')) await snapshot(patterns, method);
  else throw new Error(`cdc snapshot --method ${method} ended with ${ran.exit}:\n${ran.stderr}`);
}

/** Debezium reads by no key that has an array, and nothing without a key: `cdc` refuses (KEY_NOT_READABLE). */
function methodOf({ snapshot, table }: Program): Program['snapshot'] {
  const byArray = table.identity !== 'index' && table.key.some(({ form }) => form === 'array');
  return snapshot === 'debezium' && (byArray || isCounted(table)) ? 'pull' : snapshot;
}

async function killed(name: ServerName, totals: Totals): Promise<void> {
  const again = await kill(name);
  totals.kills += 1;
  await again();
}

interface Verdict {
  readonly table: string;
  readonly missing: number;
  readonly extra: number;
  readonly different: number;
  readonly unsettled: number;
  /** Values that the copy has as text beside. */
  readonly kept: number;
}

async function compare(
  players: readonly Player[],
  schema: string,
  totals: Totals,
): Promise<Failure[]> {
  await using client = await source();
  await using clickhouse = target();
  const verify = await cdc('verify', `${schema}.*`, '--json');
  if (![0, 6].includes(verify.exit)) throw new Error(`cdc verify failed:\n${verify.stderr}`);
  const letters = await deadLetters(schema);
  const { rows: tables } = await client.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition`,
    [schema],
  );
  const failures: Failure[] = [];
  const { tables: verdicts } = verify.json() as { tables: readonly Verdict[] };
  const check = async (name: string): Promise<string[]> => {
    let compared = await compareTable(client, clickhouse, schema, name);
    const deadline = performance.now() + LATE_MS;
    while (compared.differences.length > 0 && performance.now() < deadline)
      compared = await compareTable(client, clickhouse, schema, name);
    totals.tables += 1;
    totals.rows += compared.rows;
    totals.values += compared.values;
    totals.kept += compared.kept;
    const { differences } = compared;
    return [
      ...(differences.length > 0 ? [`${differences.length} differences`] : []),
      ...differences.slice(0, 5).map((d) => clip(JSON.stringify(d))),
      ...disagreement(
        compared,
        verdicts.find((t) => t.table === `${schema}.${name}`),
      ),
      ...(letters.get(name) ?? []),
    ];
  };
  for (const { name } of tables) {
    const player = players.find(
      (p) => name.startsWith(`${p.base}_`) || name.startsWith(`${p.base}x`),
    );
    if (!player) throw new Error(`whose table is ${name}?`);
    const what = await check(name).catch((error: unknown) => [messageOf(error)]);
    if (what.length > 0) {
      const index = Number(player.base.slice(1));
      failures.push({ index, what: `${name}: ${what.join('\n')}`, log: player.log });
    }
  }
  return failures;
}

/** `cdc verify` has to say what the oracle says. */
function disagreement(compared: Compared, verdict: Verdict | undefined): string[] {
  if (!verdict) return ['cdc verify does not know the table'];
  const named = verdict.missing + verdict.extra + verdict.different + verdict.unsettled;
  const expected = compared.differences.length;
  if (named !== expected)
    return [`cdc verify names ${named} rows, not ${expected}: ${JSON.stringify(verdict)}`];
  return expected > 0 || verdict.kept === compared.kept
    ? []
    : [`cdc verify counts ${verdict.kept} values kept as text, not ${compared.kept}`];
}

async function deadLetters(schema: string): Promise<Map<string, string[]>> {
  await using clickhouse = target();
  const rows = await clickhouse.rows<{ name: string; letter: string }>(
    `SELECT table_name AS name, concat('dead letter: ', op, ' ', reason, ' ', substring(image, 1, 300)) AS letter
       FROM cdc.dead_letters FINAL WHERE schema_name = {schema:String} LIMIT 3 BY name`,
    { schema },
  );
  const found = new Map<string, string[]>();
  for (const { name, letter } of rows) found.set(name, [...(found.get(name) ?? []), letter]);
  return found;
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

export function clip(text: string, length = 1500): string {
  return text.length > length ? `${text.slice(0, length)}… (${text.length})` : text;
}
