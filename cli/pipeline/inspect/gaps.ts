import { withClickHouse } from '../../components/clickhouse/client.ts';
import { storageUuids } from '../../components/clickhouse/observe.ts';
import { readRecords } from '../../components/clickhouse/records.ts';
import { withPostgres } from '../../components/postgres/client.ts';
import { observeMembership } from '../../components/postgres/membership.ts';
import type { Finding } from '../../core/findings.ts';
import { type PipelineNames, type TableId, tableLabel } from '../../core/names.ts';
import { objectKey } from '../../core/plan.ts';
import type { Endpoints } from '../../stack/endpoints.ts';
import { gapFound, gapOf } from '../state/gaps.ts';
import { STORAGE_GONE } from '../state/storages.ts';

/** A table that changes can have passed by, and that is not loaded again yet. */
export interface KnownGap {
  readonly table: string;
  readonly why: string;
  /** When it was recorded, in milliseconds since 1970; absent while nothing but this look knows of it. */
  readonly since_ms: number | undefined;
}

/** Those that are recorded, and those that `apply` would record; changes nothing. */
export async function knownGaps({
  names,
  endpoints,
}: {
  readonly names: Pick<PipelineNames, 'publication'>;
  readonly endpoints: Pick<Endpoints, 'postgres' | 'clickhouse'>;
}): Promise<KnownGap[]> {
  const membership = await withPostgres(endpoints.postgres, (client) =>
    observeMembership(client, names.publication),
  );
  return withClickHouse(endpoints.clickhouse, async (clickhouse) => {
    const [records, uuids] = [await readRecords(clickhouse), await storageUuids(clickhouse)];
    const uuidOf = (id: TableId) => {
      const names = records.get(id, 'names');
      return names && uuids.get(objectKey({ database: names.database, name: names.final }));
    };
    // What is not published any more is not copied either.
    const tables = records.tablesWith('shape').flatMap(({ schema, table }) => {
      const oid = records.get({ schema, table }, 'shape')?.oid;
      const isCopied = oid !== undefined && membership?.tables.has(oid) !== false;
      return isCopied ? [{ schema, table, oid }] : [];
    });
    return tables.flatMap((table): KnownGap[] => {
      const gap = gapOf(records, table);
      const uuid = uuidOf(table);
      const [why] = [
        gapFound(records, table, { membership, uuid }),
        uuid === undefined && records.get(table, 'storage') !== undefined && STORAGE_GONE,
        gap?.why,
      ].filter((one) => typeof one === 'string');
      return why === undefined ? [] : [{ table: tableLabel(table), why, since_ms: gap?.since_ms }];
    });
  });
}

export function gapFinding({ table, why }: KnownGap): Finding {
  return {
    id: 'known-gap',
    severity: 'error',
    subject: table,
    message: `${why}; it is not loaded again yet`,
    fix: 'cdc apply   # loads it again, and no other table; the agent does so by itself unless agent.schema_changes is report',
  };
}
