import pLimit from 'p-limit';
import { ClickHouse } from '../../components/clickhouse/client.ts';
import {
  isSourceUnreachable,
  LOAD_SETTINGS,
  loadStatement,
  type PageRange,
  type PulledSource,
  pulledSource,
  rowsOfPages,
} from '../../components/clickhouse/load.ts';
import { readLoad, recordRange } from '../../components/clickhouse/records.ts';
import { withPostgres } from '../../components/postgres/client.ts';
import { type Relation, relationsOf } from '../../components/postgres/pages.ts';
import type { TablePlan } from '../../core/ddl.ts';
import { tableLabel } from '../../core/names.ts';
import { Problem } from '../../core/problems.ts';
import type { Stack } from '../state/stack.ts';

/** Pages of 8 kB: a second or less of reading, so that a killed load repeats little. */
const CHUNK_PAGES = { least: 128, most: 8192 };
const PARALLEL_CHUNKS = 2;
/** Of all tables that this process loads. */
const pulling = pLimit(PARALLEL_CHUNKS);

export interface LoadProgress {
  readonly table: string;
  readonly rows: number;
  /** From the planner's statistics; absent when it has none. */
  readonly estimatedRows: number | undefined;
  readonly seconds: number;
  /** Share of the pages that is done, 0 to 1. */
  readonly done: number;
}

export interface LoadResult {
  readonly table: string;
  /** Rows read, also by an earlier run that was interrupted. */
  readonly rows: number;
  readonly seconds: number;
  /** Chunks that an earlier run had finished. */
  readonly resumedChunks: number;
}

/** ClickHouse cannot reach the source: the rows have to come another way. */
export class SourceUnreachableError extends Error {}

/**
 * Pulls a table's existing rows into storage, in ranges of pages, several at once. Finished ranges
 * are recorded, so a killed load goes on where it was. Rows that change meanwhile come again
 * through the stream with a higher version.
 *
 * @param baseline the version that the rows get.
 */
export async function loadTable(
  stack: Stack,
  plan: TablePlan,
  baseline: bigint,
  signal: AbortSignal,
  onProgress: (progress: LoadProgress) => void,
  chunkPages?: number,
): Promise<LoadResult> {
  const clickhouse = new ClickHouse(stack.endpoints.clickhouse, { requestTimeoutMs: 3_600_000 });
  const startedAtMs = performance.now();
  const label = tableLabel(plan);
  try {
    const relations = await withPostgres(stack.endpoints.postgres, (c) =>
      relationsOf(c, plan.source),
    );
    const chunks = relations.flatMap((relation) =>
      chunksOf(relation, chunkPages ?? pagesOfChunk(relation.pages)),
    );
    const { ranges } = await readLoad(clickhouse, plan, baseline);
    const open = chunks.filter((chunk) => !ranges.has(chunk.id));
    let rows = chunks.reduce((sum, chunk) => sum + (ranges.get(chunk.id) ?? 0), 0);
    let finished = chunks.length - open.length;
    // How many rows a filter lets through is not known.
    const estimate = plan.source.where ? 0 : relations.reduce((sum, r) => sum + r.estimatedRows, 0);
    const report = () =>
      onProgress({
        table: label,
        rows,
        estimatedRows: estimate > 0 ? Math.max(estimate, rows) : undefined,
        seconds: (performance.now() - startedAtMs) / 1000,
        done: chunks.length === 0 ? 1 : finished / chunks.length,
      });
    report();
    const ending = new AbortController();
    const going = AbortSignal.any([signal, ending.signal]);
    const pull = async (chunk: Chunk) => {
      going.throwIfAborted();
      const pulled = await loadChunk(stack, clickhouse, plan, chunk, baseline, signal);
      await recordRange(clickhouse, plan, baseline, chunk.id, pulled);
      rows += pulled;
      finished += 1;
      report();
    };
    try {
      await Promise.all(open.map((chunk) => pulling(pull, chunk)));
    } catch (error) {
      ending.abort();
      throw error;
    }
    await refuseRewritten(stack, plan, relations);
    return {
      table: label,
      rows,
      seconds: (performance.now() - startedAtMs) / 1000,
      resumedChunks: chunks.length - open.length,
    };
  } catch (error) {
    throw loadError(label, error);
  } finally {
    await clickhouse.close();
  }
}

/** What a load ends with, of what ClickHouse said. */
export function loadError(table: string, error: unknown): unknown {
  if (!(error instanceof Problem)) return error;
  if (error.code === 'SOURCE_UNVERIFIED') return new SourceUnreachableError(error.message);
  if (error.code !== 'CLICKHOUSE_REFUSED') return error;
  if (isSourceUnreachable(error.message)) return new SourceUnreachableError(error.message);
  return new Problem('LOAD_FAILED', { table, detail: error.message }, { cause: error });
}

interface Chunk extends PageRange {
  /** Names the range in `cdc.loads`; the file node makes it void when the table is rewritten. */
  readonly id: string;
}

/** A power of two, so that a table that grows keeps its ranges, and a killed load its progress. */
function pagesOfChunk(pages: number): number {
  const eighth = 2 ** Math.floor(Math.log2(Math.max(1, pages / 8)));
  return Math.min(CHUNK_PAGES.most, Math.max(CHUNK_PAGES.least, eighth));
}

function chunksOf(relation: Relation, pagesPerChunk: number): Chunk[] {
  const count = Math.max(1, Math.ceil(relation.pages / pagesPerChunk));
  return Array.from({ length: count }, (_, i) => {
    const fromPage = i * pagesPerChunk;
    const { schema, relation: name, fileNode } = relation;
    return {
      schema,
      relation: name,
      fromPage,
      // Rows beyond the last page were added after the slot was made; the stream brings them, but
      // the range stays open so that a resumed load need not know how far the first one saw.
      toPage: i === count - 1 ? undefined : fromPage + pagesPerChunk,
      id: JSON.stringify([
        schema,
        name,
        fileNode,
        fromPage,
        i === count - 1 ? 'end' : pagesPerChunk,
      ]),
    };
  });
}

async function loadChunk(
  stack: Stack,
  clickhouse: ClickHouse,
  plan: TablePlan,
  chunk: Chunk,
  baseline: bigint,
  signal: AbortSignal,
): Promise<number> {
  const source: PulledSource = pulledSource(stack.endpoints.postgres, stack.endpoints.clickhouse);
  const rows = rowsOfPages(chunk);
  return clickhouse.command(loadStatement(plan, rows, source, baseline), LOAD_SETTINGS, signal);
}

/** A table rewritten during its load (VACUUM FULL, CLUSTER) has moved rows between ranges. */
async function refuseRewritten(
  stack: Stack,
  plan: TablePlan,
  before: readonly Relation[],
): Promise<void> {
  const after = await withPostgres(stack.endpoints.postgres, (c) => relationsOf(c, plan.source));
  const nodes = new Map(after.map((r) => [JSON.stringify([r.schema, r.relation]), r.fileNode]));
  const moved = before.find(
    (r) => nodes.get(JSON.stringify([r.schema, r.relation])) !== r.fileNode,
  );
  if (!moved) return;
  const gone = !nodes.has(JSON.stringify([moved.schema, moved.relation]));
  throw new Problem('LOAD_FAILED', {
    table: tableLabel(plan),
    detail: `${moved.schema}.${moved.relation} was ${gone ? 'dropped or renamed' : 'rewritten'} while it was read`,
  });
}
