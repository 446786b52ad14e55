import { type ClickHouse, withClickHouse } from '../components/clickhouse/client.ts';
import { runStatements, standingObjects } from '../components/clickhouse/prepare.ts';
import { withKafkaAdmin } from '../components/kafka/client.ts';
import { dismissMembers } from '../components/kafka/groups.ts';
import { carryOffsets } from '../components/kafka/topics.ts';
import { fillingViews } from '../core/moves.ts';
import { isCheckGroup } from '../core/names.ts';
import type { Change } from '../core/plan.ts';
import type { ApplyEvents } from './apply.ts';
import type { Plan } from './plan.ts';
import type { Stack } from './stack.ts';

/** Copying the rows of a table within ClickHouse takes as long as it takes. */
const REBUILD_MS = 24 * 3_600_000;
/** Headers that keep a connection open on which nothing else is sent meanwhile. */
const IN_PROGRESS = {
  send_progress_in_http_headers: 1,
  http_headers_progress_interval_ms: '20000',
};

/**
 * Changed lanes stop reading, all of them, before any starts again: a table may move from one to
 * another, and the new queue's group begins where the old one's has come to. Storage changes its
 * form in between: no view may write the old one, and none may write the new one before the reader
 * is made anew (ClickHouse uses what it has prepared for a while).
 *
 * Where ClickHouse refuses such a change (an index or a view of somebody's holds on to a column, the disk is
 * full), what read before reads again: one table stops no others.
 */
export async function changeLanes(
  stack: Stack,
  clickhouse: ClickHouse,
  plan: Plan,
  reading: readonly Change[],
  reshaping: readonly Change[],
  events: ApplyEvents,
): Promise<void> {
  const isDrop = (statement: string) => statement.startsWith('DROP ');
  const changed = new Set(reading.map((c) => c.object));
  const lanes = plan.desired.target.lanes.filter(({ queue }) =>
    changed.has(`queue ${queue.database}.${queue.name}`),
  );
  const putBack = await standingObjects(clickhouse, [
    ...plan.moves.flatMap(fillingViews),
    ...lanes.flatMap(({ queue, behind, reader }) => [...behind, queue, reader]),
  ]);
  try {
    for (const change of reading) await runStatements(clickhouse, change.sql.filter(isDrop));
    for (const change of reshaping) {
      if (change.action === 'replace') events.step(`writing ${change.object} anew`);
      await withClickHouse(
        stack.endpoints.clickhouse,
        (patient) => runStatements(patient, change.sql, IN_PROGRESS),
        { requestTimeoutMs: REBUILD_MS },
      );
    }
  } catch (error) {
    // Why it failed is what counts, also where ClickHouse is gone.
    await putBack().catch(() => {});
    throw error;
  }
  await carryGroups(stack, plan, changed);
  for (const change of reading)
    await runStatements(
      clickhouse,
      change.sql.filter((s) => !isDrop(s)),
    );
}

/** Groups of changed queues begin where others have come to with their topics. */
async function carryGroups(stack: Stack, plan: Plan, changed: ReadonlySet<string>): Promise<void> {
  const moved = plan.desired.lanes.filter(({ names: { database, queue } }) =>
    changed.has(`queue ${database}.${queue}`),
  );
  if (moved.length === 0) return;
  const prefix = `${stack.names.group}.`;
  await withKafkaAdmin(stack.endpoints.kafka, async (admin) => {
    for (const { names, topics } of moved) {
      const { group, database, queue } = names;
      // The reader's client id, as ClickHouse makes it: it was dropped above.
      const isGone = (clientId: string) => clientId.endsWith(`-${database}-${queue}`);
      await dismissMembers(stack.endpoints.kafka, admin, group, isGone);
      const isSibling = (other: string) => other.startsWith(prefix) && !isCheckGroup(other);
      await carryOffsets(stack.endpoints.kafka, admin, group, isSibling, topics);
    }
  });
}
