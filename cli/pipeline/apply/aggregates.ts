import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { ClickHouse } from '../../components/clickhouse/client.ts';
import { runStatements } from '../../components/clickhouse/objects.ts';
import { resolveFrom } from '../../config/load.ts';
import {
  type Aggregate,
  type AggregateFault,
  aggregateStep,
  hasExample,
  inOrder,
  parseAggregates,
} from '../../core/aggregates.ts';
import type { TablePlan } from '../../core/ddl.ts';
import { digestOf, type ObservedObject, objectKey } from '../../core/plan.ts';
import { Problem } from '../../core/problems.ts';
import type { StepOf } from '../../core/steps.ts';
import { packageRoot } from '../../lib/packageRoot.ts';
import { chIdent } from '../../lib/sql.ts';
import type { Desired } from '../inspect/desired.ts';
import type { Stack } from '../state/stack.ts';

const FOLDER = join('sql', 'clickhouse', 'views');

/** What the files that declare views come to. */
export interface AggregatePlan {
  readonly steps: readonly StepOf<'aggregate'>[];
  /** Views that read tables which are not copied: made when those are. */
  readonly waiting: readonly WaitingView[];
  readonly faults: readonly AggregateFault[];
}

export interface WaitingView {
  readonly view: string;
  readonly file: string;
  readonly missing: readonly string[];
}

type Observed = ReadonlyMap<string, ObservedObject & { readonly kind: string | undefined }>;

export async function planAggregates(
  stack: Stack,
  clickhouse: ClickHouse,
  { tables, target }: Desired,
  observed: Observed,
): Promise<AggregatePlan> {
  const { aggregates, faults } = declaredViews(stack, tables);
  const failed: AggregateFault[] = [...faults, ...doubles(aggregates)];
  const read: (Aggregate & { reads: string[]; label: string })[] = [];
  for (const aggregate of aggregates) {
    const reads = await tablesOf(clickhouse, aggregate);
    if (typeof reads === 'string') failed.push({ file: aggregate.file, detail: reads });
    else read.push({ ...aggregate, reads, label: `${aggregate.database}.${aggregate.name}` });
  }
  const present = new Set([...(await presentTables(clickhouse)), ...namesOf(target)]);
  const steps: StepOf<'aggregate'>[] = [];
  const waiting: WaitingView[] = [];
  for (const { reads, label, ...aggregate } of inOrder(read)) {
    const missing = reads.filter((name) => !present.has(name));
    const found = observed.get(objectKey(aggregate));
    if (missing.length > 0) {
      if (!aggregate.isShipped) waiting.push({ view: label, file: aggregate.file, missing });
    } else if (found?.kind !== 'aggregate' && present.has(label)) {
      // Two pipelines can copy tables of the example; one of them has its views.
      if (aggregate.isShipped && found?.otherOwn !== undefined) continue;
      const detail = `${label} is the name of something else${found?.otherOwn === undefined ? '' : ` (${found.otherOwn} made it)`}`;
      failed.push({ file: aggregate.file, detail });
    } else {
      present.add(label);
      if (found?.digest === digestOf(aggregate)) continue;
      steps.push(aggregateStep(aggregate, found !== undefined));
    }
  }
  return { steps: [...dropped(aggregates, observed), ...steps], waiting, faults: failed };
}

/** What `apply` makes of the tables has its names, whether it is there yet or not. */
function namesOf({ tables, sharedQueues }: Desired['target']): string[] {
  return [
    ...tables.flatMap((t) => [t.storage, t.view, ...Object.values(t.history ?? {})]),
    ...sharedQueues.flatMap((sharedQueue) => [
      sharedQueue.queue,
      sharedQueue.reader,
      ...sharedQueue.behind,
    ]),
  ].map(({ database, name }) => `${database}.${name}`);
}

/** Runs what was planned; a view that ClickHouse refuses keeps no other from being made. */
export async function makeViews(clickhouse: ClickHouse, plan: AggregatePlan): Promise<Problem[]> {
  const refused: Problem[] = [];
  for (const { view, sql, undo, file } of plan.steps) {
    try {
      await runStatements(clickhouse, sql);
    } catch (error) {
      if (!(error instanceof Problem) || error.code !== 'CLICKHOUSE_REFUSED') throw error;
      if (undo) await clickhouse.command(undo);
      refused.push(
        new Problem('VIEW_REFUSED', { view, file: file ?? '', detail: sentenceOf(error) }),
      );
    }
  }
  return refused;
}

/** ClickHouse's own sentence. */
function sentenceOf(problem: Problem): string {
  return problem.message.replace(/^ClickHouse refused a statement: /, '');
}

/** A view whose file is gone goes too: it can be made again from what it reads. */
function dropped(aggregates: readonly Aggregate[], observed: Observed): StepOf<'aggregate'>[] {
  const wanted = new Set(aggregates.map(objectKey));
  return [...observed.values()]
    .filter((object) => object.kind === 'aggregate' && !wanted.has(objectKey(object)))
    .map((object) => ({
      kind: 'aggregate',
      component: 'clickhouse',
      action: 'drop',
      object: `aggregate ${object.database}.${object.name}`,
      view: `${object.database}.${object.name}`,
      reason: 'no file declares it any more',
      sql: [`DROP VIEW IF EXISTS ${chIdent(object.database, object.name)} SYNC`],
      undo: undefined,
      file: undefined,
    }));
}

function doubles(aggregates: readonly Aggregate[]): AggregateFault[] {
  return aggregates.flatMap((one, i) => {
    const first = aggregates.findIndex((other) => objectKey(other) === objectKey(one));
    const detail = `${one.database}.${one.name} is declared twice, first in ${aggregates[first]?.file}`;
    return first < i ? [{ file: one.file, detail }] : [];
  });
}

/** The user's files; without a folder of their own also those that come with the example. */
function declaredViews(stack: Stack, tables: readonly TablePlan[]) {
  const { views } = stack.config.clickhouse;
  const { own } = stack.names;
  const folder = resolveFrom(stack.directory, views ?? FOLDER);
  const shipped = join(packageRoot(), FOLDER);
  const files = sqlFiles(folder, views !== undefined, stack.directory);
  const isExample = views === undefined && folder !== shipped && hasExample(tables);
  const parsed = [
    ...files.map(({ file, text }) => parseAggregates(file, text, { own, isShipped: false })),
    ...(isExample ? sqlFiles(shipped, true, packageRoot()) : []).map(({ file, text }) =>
      parseAggregates(file, text, { own, isShipped: true }),
    ),
  ];
  const mine = new Set(
    parsed.flatMap((p) => p.aggregates.filter((a) => !a.isShipped)).map(objectKey),
  );
  return {
    aggregates: parsed
      .flatMap((p) => p.aggregates)
      .filter((one) => !one.isShipped || !mine.has(objectKey(one))),
    faults: parsed.flatMap((p) => p.faults),
  };
}

function sqlFiles(
  folder: string,
  isRequired: boolean,
  from: string,
): { file: string; text: string }[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith('.sql'))
      .sort()
      .map((name) => ({
        file: relative(from, join(folder, name)),
        text: readFileSync(join(folder, name), 'utf8'),
      }));
  } catch (error) {
    if (!isRequired && (error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new Problem('VIEW_INVALID', {
      file: relative(from, folder) || folder,
      detail: (error as Error).message,
    });
  }
}

/** Tables with a database that a statement names; or what is wrong with the statement. */
async function tablesOf(clickhouse: ClickHouse, aggregate: Aggregate): Promise<string[] | string> {
  try {
    const lines = await clickhouse.explain('AST', aggregate.create);
    const names = lines.flatMap(
      (line) => /^ *TableIdentifier (.*?)(?: \(alias .*\))?$/s.exec(line)?.[1] ?? [],
    );
    return [...new Set(names)].filter((name) => name.includes('.'));
  } catch (error) {
    if (error instanceof Problem && error.code === 'CLICKHOUSE_REFUSED') return sentenceOf(error);
    throw error;
  }
}

async function presentTables(clickhouse: ClickHouse): Promise<string[]> {
  const found = await clickhouse.rows<{ label: string }>(
    `SELECT concat(database, '.', name) AS label FROM system.tables`,
  );
  return found.map((row) => row.label);
}
