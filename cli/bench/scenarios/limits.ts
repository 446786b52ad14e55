import type { Submittable } from 'pg';
import { connectPostgres } from '../../components/postgres/client.ts';
import type { Measure } from '../../core/bench.ts';
import { formatCount } from '../../lib/format.ts';
import { pgIdent, pgLiteral } from '../../lib/sql.ts';
import { type BenchGround, SCHEMA } from '../ground.ts';
import { CopyOut, ReadInserts } from '../rawPostgres.ts';
import type { ScenarioResult } from './scenario.ts';
import { FIRST_ID, inserts, pileUp, untilThere } from './throughput.ts';

const SLOT = 'cdc_bench_limit';
const TABLE = 't4';

/** What PostgreSQL gives on this machine to somebody who does nothing with it: no copy can be faster. */
export async function limits(ground: BenchGround, rows: number): Promise<ScenarioResult> {
  return { measures: [await protocol(ground, rows), await copyOut(ground)], cpu_us_per_change: {} };
}

async function copyOut(ground: BenchGround): Promise<Measure> {
  ground.events.phase('reading the loaded table by COPY alone');
  const client = await connectPostgres(ground.stack.endpoints.postgres);
  try {
    const found = await client.query<{ n: string }>(`SELECT count(*) AS n FROM ${SCHEMA}.orders`);
    const rows = Number(found.rows[0]?.n);
    const startedAtMs = performance.now();
    await submitted(client, new CopyOut(`COPY ${SCHEMA}.orders TO STDOUT`));
    return {
      scenario: 'limits',
      measure: 'COPY TO STDOUT',
      value: Math.round(rows / ((performance.now() - startedAtMs) / 1000)),
      unit: 'rows/s',
      better: 'more',
      on: `${formatCount(rows)} rows of the bulk load, read and thrown away`,
    };
  } finally {
    await client.end();
  }
}

/** The same inserts as a backlog of the throughput, read from a slot beside the connector's, which stands. */
async function protocol(ground: BenchGround, rows: number): Promise<Measure> {
  const { stack, events } = ground;
  const client = await connectPostgres(stack.endpoints.postgres, { replication: 'database' });
  try {
    await client.query(
      `CREATE_REPLICATION_SLOT ${SLOT} TEMPORARY LOGICAL pgoutput (SNAPSHOT 'nothing')`,
    );
    events.phase(`writing ${formatCount(rows)} inserts to be read by the protocol alone`);
    await pileUp(ground, inserts(TABLE), rows, FIRST_ID);
    events.phase(`reading ${formatCount(rows)} inserts by the protocol alone`);
    const options = `proto_version '1', publication_names ${pgLiteral(pgIdent(stack.names.publication))}`;
    const startedAtMs = performance.now();
    const endedAtMs = await submitted(
      client,
      new ReadInserts(`START_REPLICATION SLOT ${SLOT} LOGICAL 0/0 (${options})`, rows),
    );
    return {
      scenario: 'limits',
      measure: 'protocol',
      value: Math.round(rows / ((endedAtMs - startedAtMs) / 1000)),
      unit: 'changes/s',
      better: 'more',
      on: `${formatCount(rows)} inserts of a slot of its own, read and thrown away`,
    };
  } finally {
    // Not by a word: the server may still be sending.
    (
      client as unknown as { connection: { stream: { destroy(): void } } }
    ).connection.stream.destroy();
    await ground.resume();
    await untilThere(ground, 'inserts', rows, () => ground.count(TABLE, inserts(TABLE).arrived));
  }
}

function submitted<T>(
  client: { query(query: Submittable): unknown },
  query: Submittable & { readonly done: Promise<T> },
): Promise<T> {
  client.query(query);
  return query.done;
}
