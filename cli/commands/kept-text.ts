import type { KeptValues } from '../components/clickhouse/kept.ts';
import { visible } from '../kernel/visible.ts';
import { formatCount } from '../lib/format.ts';

/** `shop.prices.valid_until: 25,000 values, such as infinity, do not fit; …`, a line a column. */
export function keptLines(kept: readonly KeptValues[]): string[] {
  return kept.map(({ table, column, values, example }) => {
    const which = `${visible(table)}.${visible(column)}: ${formatCount(values)} ${values === 1 ? 'value' : 'values'}, such as ${visible(example)}`;
    return `${which}, ${values === 1 ? 'does' : 'do'} not fit; the nearest is shown, the exact text is in _exact`;
  });
}
