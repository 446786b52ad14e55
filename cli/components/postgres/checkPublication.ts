import type { Finding } from '../../core/findings.ts';
import { ownTablesOf, type PipelineNames, tableLabel, tableLabelKey } from '../../core/names.ts';
import { publicationDiff } from '../../core/plan.ts';
import type { SourceTable } from '../../core/source.ts';
import { FILTERS_SINCE } from './filter.ts';
import type { ObservedSource, TableRights } from './observe.ts';
import {
  alterPublicationStatement,
  filterPublicationStatement,
  ownTableGrants,
  publishAllStatement,
  publishGeneratedStatement,
} from './prepare.ts';

export interface CheckInput {
  readonly observed: ObservedSource;
  readonly tables: readonly SourceTable[];
  readonly rights: ReadonlyMap<number, TableRights>;
  readonly names: Pick<PipelineNames, 'slot' | 'publication' | 'own'> & {
    readonly database: string;
  };
}

/** Of a publication that somebody else has made, or changed: each finding with the one statement. */

/** What somebody else has to do, and where all of it stands. */
const BY_OWNER = '  -- as its owner; all that cdc needs as one script: cdc init --sql';

function error(id: string, subject: string, message: string, fix: string): Finding {
  return { id, severity: 'error', subject, message, fix };
}

/** What is about all tables: those of cdc itself, and the kinds of change. */
export function checkPublication(input: CheckInput): Finding[] {
  const { observed, names } = input;
  const { role } = observed;
  const found: Finding[] = [];
  const ownTables = ownTablesOf(names.own);
  const missing = ownTables.filter(
    (id) => !observed.publication?.some((p) => p.schema === id.schema && p.table === id.table),
  );
  if (observed.ownsPublication === false && missing.length > 0) {
    const statements = missing.map((id) => alterPublicationStatement(names.publication, 'ADD', id));
    found.push(
      error(
        'publication-own-tables',
        names.publication,
        `it lacks ${missing.map(tableLabel).join(' and ')}, and role ${role.name} may not add them`,
        `${statements.join('; ')};${BY_OWNER}`,
      ),
    );
  }
  if (observed.ownTables && !observed.ownTablesWritable) {
    found.push(
      error(
        'own-tables-rights',
        names.own,
        `role ${role.name} may not read and write ${ownTables.map(tableLabel).join(' and ')}`,
        `${ownTableGrants(role.name, names.own).join('; ')};${BY_OWNER}`,
      ),
    );
  }
  if (!observed.publishesAll) {
    found.push(
      error(
        'publication-options',
        names.publication,
        'it does not publish every kind of change: INSERT, UPDATE, DELETE and TRUNCATE',
        `${publishAllStatement(names.publication)};${BY_OWNER}`,
      ),
    );
  }
  return [...found, ...foreignMembers(input)];
}

/** Of somebody else's publication they cannot be taken; Debezium reads past them. */
function foreignMembers({ observed, tables, names }: CheckInput): Finding[] {
  if (observed.ownsPublication !== false) return [];
  return publicationDiff(observed.publication ?? [], tables, ownTablesOf(names.own)).remove.map(
    (id) => ({
      id: 'publication-more',
      severity: 'warning',
      subject: tableLabel(id),
      message: `it is in publication ${names.publication} and not copied: its changes are sent for nothing`,
      fix: `${alterPublicationStatement(names.publication, 'DROP', id)};  -- as its owner`,
    }),
  );
}

/** What the publication says of one table, and what it should. */
export function checkPublished(table: SourceTable, { observed, names }: CheckInput): Finding[] {
  const key = tableLabelKey(table);
  const member = observed.publication?.find((id) => tableLabelKey(id) === key);
  const { publication } = names;
  const subject = tableLabel(table);
  const found: Finding[] = [];
  if (table.kind === 'p' && !observed.publishesRoots) {
    found.push(
      error(
        'publication-partitions',
        subject,
        `publication ${publication} sends its changes under the names of its partitions`,
        `${publishAllStatement(publication)};  -- as its owner; then, if it was loaded before: cdc snapshot`,
      ),
    );
  }
  if (!member || observed.ownsPublication !== false) return found;
  // An older server has no filters to change: that is another finding.
  if (observed.version >= FILTERS_SINCE && member.where !== table.where) {
    found.push(
      error(
        'filter-owner',
        subject,
        `its filter in publication ${publication} is not that of cdc.yaml, and role ${observed.role.name} may not change it`,
        `${filterPublicationStatement(publication, table)};  -- as its owner`,
      ),
    );
  }
  if (table.hasGenerated && !observed.publishesGenerated) {
    found.push(
      error(
        'publication-generated',
        subject,
        `publication ${publication} is without its generated columns, and role ${observed.role.name} may not change it`,
        `${publishGeneratedStatement(publication)};  -- as its owner`,
      ),
    );
  }
  return found;
}
