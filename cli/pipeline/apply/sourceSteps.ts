import { isUsable } from '../../components/postgres/observe.ts';
import {
  alterPublicationStatement,
  createPublicationStatement,
  createSlotStatement,
  dropSlotStatement,
  filterPublicationStatement,
  ownTableStatements,
  publishGeneratedStatement,
} from '../../components/postgres/prepare.ts';
import { ownTablesOf, tableLabel, tableLabelKey } from '../../core/names.ts';
import { publicationDiff, tableObject } from '../../core/plan.ts';
import { type PublishedTable, sameColumns } from '../../core/source.ts';
import type { ShownStep, Step } from '../../core/steps.ts';
import type { CapturedSource } from '../inspect/source.ts';
import type { Stack } from '../state/stack.ts';
import { removalOf, withdrawalsOf } from './withdraw.ts';

/** What is to be done in PostgreSQL: our tables, the publication, the slot. */
export function sourceSteps(stack: Stack, source: CapturedSource): Step[] {
  const { observed } = source;
  const own: Step = {
    kind: 'source-tables',
    component: 'postgres',
    action: 'create',
    object: `schema ${stack.names.own}`,
    sql: ownTableStatements(stack.names.own),
  };
  return [
    ...(observed.ownTables ? [] : [own]),
    ...publicationSteps(stack, source),
    ...slotSteps(stack, source),
  ];
}

function publicationSteps(stack: Stack, source: CapturedSource): Step[] {
  const { publication, own } = stack.names;
  const ownTables = ownTablesOf(own);
  const { observed, tables, chosen } = source;
  const step = (
    action: ShownStep['action'],
    object: string,
    sql: string,
    more: Partial<ShownStep> = {},
  ): Step => ({
    kind: 'publication',
    joins: action === 'add',
    component: 'postgres',
    action,
    object,
    sql: [sql],
    ...more,
  });
  const generated = tables.some((table) => table.hasGenerated);
  if (!observed.publication) {
    const all = createPublicationStatement(publication, [...tables, ...ownTables], generated);
    return [step('create', `publication ${publication}`, all)];
  }
  const isOurs = observed.ownsPublication !== false;
  const present = observed.publication;
  const { add, remove, filter } = publicationDiff(present, tables, ownTables);
  const withdrawals = withdrawalsOf(publication, { published: present, chosen, copied: tables });
  const withdrawn = new Set(withdrawals.map(({ source: table }) => tableLabelKey(table)));
  const options = publishGeneratedStatement(publication);
  return [
    ...(generated && !observed.publishesGenerated && isOurs
      ? [step('update', `publication ${publication} (generated columns)`, options)]
      : []),
    ...filter.map((id) =>
      step(
        'update',
        `${otherParts(present, id)} of ${tableObject(id)} in publication ${publication}`,
        filterPublicationStatement(publication, id),
        { table: tableLabel(id), consequence: 'loads the table' },
      ),
    ),
    ...add.map((id) =>
      step(
        'add',
        `${tableObject(id)} to publication ${publication}`,
        alterPublicationStatement(publication, 'ADD', id),
        { table: tableLabel(id), consequence: 'loads the table' },
      ),
    ),
    // Of somebody else's they cannot be taken; there they are a finding.
    ...(isOurs ? remove : [])
      .filter((id) => !withdrawn.has(tableLabelKey(id)))
      .map((id): Step => ({ kind: 'publication', joins: false, ...removalOf(publication, id) })),
    ...withdrawals,
  ];
}

/** What the publication has of a table that is not as it should be. */
function otherParts(present: readonly PublishedTable[], id: PublishedTable): string {
  const found = present.find((one) => tableLabelKey(one) === tableLabelKey(id));
  const isFilter = found?.where !== id.where;
  const isColumns = !sameColumns(found?.listed, id.listed);
  return [...(isFilter ? ['filter'] : []), ...(isColumns ? ['columns'] : [])].join(' and ');
}

function slotSteps(stack: Stack, { observed }: CapturedSource): Step[] {
  const { slot } = stack.names;
  if (isUsable(observed.slot)) return [];
  const create = createSlotStatement(slot, observed.version);
  return [
    {
      kind: 'slot',
      component: 'postgres',
      consequence: 'loads all tables',
      ...(observed.slot
        ? {
            action: 'replace',
            object: `slot ${slot}`,
            reason: observed.slot.passedBy ?? 'it lost WAL',
            sql: [dropSlotStatement(slot), create],
          }
        : { action: 'create', object: `slot ${slot}`, sql: [create] }),
    },
  ];
}
