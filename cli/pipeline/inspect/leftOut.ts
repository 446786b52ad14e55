import { withClickHouse } from '../../components/clickhouse/client.ts';
import { readRecords } from '../../components/clickhouse/records.ts';
import type { LeftOut } from '../../core/leftOut.ts';
import type { Endpoints } from '../../stack/endpoints.ts';
import { readRules } from '../state/columnRules.ts';
import { failedLoads } from '../state/loadFailures.ts';
import { inspectSource, type SourceAccess, withoutUnfit } from './source.ts';

interface Access extends SourceAccess {
  readonly endpoints: Pick<Endpoints, 'postgres' | 'clickhouse'>;
}

/** Tables that are not copied, or not whole, as they are found now; for who only looks. */
export async function leftOutNow(stack: Access): Promise<LeftOut[]> {
  const { include } = stack.config.source;
  const [{ tables, leftOut }, records] = await Promise.all([
    readRules(stack.endpoints.clickhouse)
      .then((remembered) => inspectSource(stack, remembered))
      .then((source) => withoutUnfit(source, include)),
    withClickHouse(stack.endpoints.clickhouse, (clickhouse) => readRecords(clickhouse)),
  ]);
  return [...leftOut, ...failedLoads(records, tables, include)];
}
