import { withClickHouse } from '../../components/clickhouse/client.ts';
import {
  type DeadLetter,
  deadLetters,
  forgetDeadLetters,
  keysOfDeadLetters,
} from '../../components/clickhouse/deadLetters.ts';
import { withPostgres } from '../../components/postgres/client.ts';
import { tableLabel } from '../../core/names.ts';
import { Problem } from '../../core/problems.ts';
import { waitUntilCaughtUp } from '../inspect/caughtUp.ts';
import { refuseOtherPipelines } from '../inspect/others.ts';
import { captureSource, notApplied } from '../inspect/source.ts';
import { standing } from '../inspect/targets.ts';
import { FULL_SPEED } from '../load/throttle.ts';
import type { Stack } from '../state/stack.ts';
import { recheckRows } from './recheckRows.ts';
import { repairRows } from './repair.ts';
import type { CheckContext } from './rowDiff.ts';

const LIMIT = 10_000;
const FLOW_MS = 60_000;

export interface ReplayResult {
  /** DeadLetters whose row is now as the source has it; they are forgotten. */
  readonly replayed: readonly string[];
  readonly left: readonly { readonly id: string; readonly why: string }[];
}

export async function listDeadLetters(stack: Stack, limit: number): Promise<DeadLetter[]> {
  return withClickHouse(stack.endpoints.clickhouse, (clickhouse) =>
    deadLetters(clickhouse, [], limit),
  );
}

export async function showDeadLetter(stack: Stack, id: string): Promise<DeadLetter> {
  const [letter] = await deadLettersOf(stack, [id]);
  if (!letter) throw new Problem('LETTER_UNKNOWN', { id });
  return letter;
}

export async function discardDeadLetters(stack: Stack, ids: readonly string[]): Promise<string[]> {
  await refuseOtherPipelines(stack);
  const known = (await deadLettersOf(stack, ids)).map((letter) => letter.id);
  await withClickHouse(stack.endpoints.clickhouse, (clickhouse) =>
    forgetDeadLetters(clickhouse, known),
  );
  return known;
}

/** The letters with these ids, each of which must be there; all, when there are none. */
async function deadLettersOf(stack: Stack, ids: readonly string[]): Promise<DeadLetter[]> {
  const found = await withClickHouse(stack.endpoints.clickhouse, (clickhouse) =>
    deadLetters(clickhouse, ids, LIMIT),
  );
  const missing = ids.find((id) => !found.some((letter) => letter.id === id));
  if (missing !== undefined) throw new Problem('LETTER_UNKNOWN', { id: missing });
  return found;
}

/**
 * Reads the rows of dead letters again from the source, as they are now. The letter itself may be
 * older than what the copy has, so it is never stored: nothing is duplicated and nothing goes back.
 */
export async function replayDeadLetters(
  stack: Stack,
  ids: readonly string[],
  signal: AbortSignal,
  phase: (text: string) => void,
): Promise<ReplayResult> {
  const letters = await deadLettersOf(stack, ids);
  const source = await captureSource(stack);
  const desired = await standing(stack, source);
  const left = new Map(letters.map((l) => [l.id, 'it names no row of a table that is copied']));
  const unread = new Map(source.leftOut.map(({ table, why }) => [table, `left out: ${why}`]));
  for (const id of notApplied(source, desired.tables, stack.names.own))
    unread.set(tableLabel(id), 'its table is not copied yet as cdc.yaml says: cdc apply');
  for (const letter of letters) {
    const why = unread.get(letter.table);
    if (why !== undefined) left.set(letter.id, why);
  }
  return withClickHouse(stack.endpoints.clickhouse, (clickhouse) =>
    withPostgres(stack.endpoints.postgres, async (client) => {
      for (const plan of desired.tables) {
        const own = letters.filter((l) => l.table === tableLabel(plan)).map((l) => l.id);
        if (own.length === 0 || unread.has(tableLabel(plan))) continue;
        phase(`reading rows of ${tableLabel(plan)} again`);
        const keys = await keysOfDeadLetters(clickhouse, plan, own);
        for (const id of own) left.set(id, 'its key cannot be read: cdc verify --repair finds it');
        const wanted = [...new Set(keys.values())];
        if (wanted.length === 0) continue;
        const events = { table: () => {}, phase };
        const context: CheckContext = {
          stack,
          plan,
          source: client,
          clickhouse,
          read: (sql) => clickhouse.rows(sql, {}, {}, signal),
          throttle: FULL_SPEED,
          signal,
          events,
        };
        await repairRows(context, wanted);
        const barrier = async () => {
          await waitUntilCaughtUp(stack, plan, client, clickhouse, { timeoutMs: FLOW_MS, signal });
          return true;
        };
        const { confirmed } = await recheckRows(context, wanted, barrier);
        for (const [id, key] of keys) {
          if (confirmed.has(key)) left.set(id, 'its row still does not fit');
          else left.delete(id);
        }
      }
      const replayed = letters.map((l) => l.id).filter((id) => !left.has(id));
      await forgetDeadLetters(clickhouse, replayed);
      return { replayed, left: [...left].map(([id, why]) => ({ id, why })) };
    }),
  );
}
