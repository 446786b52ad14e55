import { type ClickHouse, withClickHouse } from '../../components/clickhouse/client.ts';
import {
  attachDetached,
  runStatements,
  standingObjects,
} from '../../components/clickhouse/objects.ts';
import { withKafkaAdmin } from '../../components/kafka/client.ts';
import { removeGroupMembers } from '../../components/kafka/groups.ts';
import { copyGroupOffsets } from '../../components/kafka/topics.ts';
import { fillingViews } from '../../core/moves.ts';
import { isCheckGroup } from '../../core/names.ts';
import { objectKey } from '../../core/plan.ts';
import { type Step, stepsOf } from '../../core/steps.ts';
import type { LoadEvents } from '../load/events.ts';
import type { Stack } from '../state/stack.ts';
import type { Plan } from './plan.ts';
import { alterPastDependents } from './stalls.ts';

/** Copying the rows of a table within ClickHouse takes as long as it takes. */
const REBUILD_MS = 24 * 3_600_000;
/** Headers that keep a connection open on which nothing else is sent meanwhile. */
const IN_PROGRESS = {
  send_progress_in_http_headers: 1,
  http_headers_progress_interval_ms: '20000',
};

/**
 * Changed queues stop reading, all of them, before any starts again: a table may move from one to
 * another, and the new queue's group begins where the old one's has come to. Storage changes its
 * form in between: no view may write the old one, and none may write the new one before the reader
 * is recreated (ClickHouse uses what it has prepared for a while).
 *
 * What somebody made on a storage and that holds on to a column is set aside. Where ClickHouse refuses such a
 * change for another reason (the disk is full), what read before reads again: one table stops no others.
 */
export async function changeQueues(
  stack: Stack,
  clickhouse: ClickHouse,
  plan: Plan,
  events: Pick<LoadEvents, 'step'>,
): Promise<void> {
  const reading = stepsOf(plan.steps, 'lane');
  const changed = new Set(reading.map(({ queue }) => objectKey(queue)));
  const sharedQueues = plan.desired.target.sharedQueues.filter(({ queue }) =>
    changed.has(objectKey(queue)),
  );
  await attachDetached(
    clickhouse,
    reading.map(({ queue }) => queue),
  );
  const putBack = await standingObjects(clickhouse, [
    ...plan.moves.flatMap(fillingViews),
    ...sharedQueues.flatMap(({ queue, behind, reader }) => [...behind, queue, reader]),
  ]);
  try {
    for (const { sql } of stepsOf(plan.steps, 'drop').filter(({ dropped }) => dropped === 'queue'))
      await runStatements(clickhouse, sql);
    for (const { stop } of reading) await runStatements(clickhouse, stop);
    for (const step of plan.steps.filter(isStopped)) {
      if (step.action === 'replace') events.step(`writing ${step.object} anew`);
      const alter = () =>
        withClickHouse(
          stack.endpoints.clickhouse,
          (patient) => runStatements(patient, step.sql, IN_PROGRESS),
          { requestTimeoutMs: REBUILD_MS },
        );
      if (step.kind === 'storage')
        await alterPastDependents(clickhouse, step.target, step.sql, alter);
      else await alter();
    }
  } catch (error) {
    // Why it failed is what counts, also where ClickHouse is gone.
    await putBack().catch(() => {});
    throw error;
  }
  await carryGroups(stack, plan, changed);
  for (const { start } of reading) await runStatements(clickhouse, start);
}

/** What is changed while nothing is read. */
function isStopped(step: Step): boolean {
  return step.kind === 'move' || ('isStopped' in step && step.isStopped);
}

/** Groups of changed queues begin where others have come to with their topics. */
async function carryGroups(stack: Stack, plan: Plan, changed: ReadonlySet<string>): Promise<void> {
  const moved = plan.desired.sharedQueues.filter(({ names: { database, queue } }) =>
    changed.has(objectKey({ database, name: queue })),
  );
  if (moved.length === 0) return;
  const prefix = `${stack.names.group}.`;
  await withKafkaAdmin(stack.endpoints.kafka, async (admin) => {
    for (const { names, topics } of moved) {
      const { group, database, queue } = names;
      // The reader's client id, as ClickHouse makes it: it was dropped above.
      const isGone = (clientId: string) => clientId.endsWith(`-${database}-${queue}`);
      await removeGroupMembers(stack.endpoints.kafka, admin, group, isGone);
      const isSibling = (other: string) => other.startsWith(prefix) && !isCheckGroup(other);
      await copyGroupOffsets(stack.endpoints.kafka, admin, group, isSibling, topics);
    }
  });
}
