import { EXACT } from './columns.ts';

/** ClickHouse: how many texts a row keeps beside its values. `row` qualifies its column. */
export function keptAsText(row: string): string {
  return `arrayCount(t -> isNotNull(t), mapValues(${row}${EXACT.name}))`;
}
