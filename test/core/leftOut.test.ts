import { describe, expect, it } from 'vitest';
import type { Finding } from '../../cli/core/findings.ts';
import { divideTables, leftOutFindings } from '../../cli/core/leftOut.ts';
import type { SourceTable } from '../../cli/core/source.ts';
import { table } from '../harness/pipeline.ts';

const good = table('shop', 'good');
const bad = table('shop', 'bad');

function finding(subject: string, id: string, severity: Finding['severity'] = 'error'): Finding {
  return { id, severity, subject, message: `${id} it is`, fix: `mend ${id}` };
}

function divided(
  found: readonly Finding[],
  options: { include?: string[]; published?: SourceTable[] } = {},
) {
  const { include = ['*.*'], published = [] } = options;
  const ofTable = new Map([[bad, found]]);
  const { planned, leftOut } = divideTables({ tables: [good, bad], ofTable, include, published });
  return { planned: planned.map((t) => t.table), leftOut };
}

describe('a table with errors', () => {
  it('is left out alone, with everything that is wrong with it, and with what leaves it out for good', () => {
    const { planned, leftOut } = divided([
      finding('shop.bad', 'table-without-key'),
      finding('shop.bad.c', 'type-not-carried'),
      finding('shop.bad', 'history-identity', 'info'),
    ]);
    expect(planned).toEqual(['good']);
    expect(leftOut).toEqual([
      {
        table: 'shop.bad',
        why: 'table-without-key it is; c: type-not-carried it is',
        fix: 'mend table-without-key\nmend type-not-carried\nOr leave it out in cdc.yaml: source: { exclude: ["shop.bad"] }',
        named: false,
        findings: ['table-without-key', 'type-not-carried'],
      },
    ]);
  });

  it('is a warning where a wildcard chose it, an error where cdc.yaml names it', () => {
    const found = [finding('shop.bad', 'table-without-key')];
    const severity = (include: string[]) =>
      leftOutFindings(divided(found, { include }).leftOut).map((f) => f.severity);
    expect(severity(['shop.*'])).toEqual(['warning']);
    expect(severity(['shop.b?d'])).toEqual(['warning']);
    expect(severity(['*.*', 'shop.bad'])).toEqual(['error']);
  });

  it('goes on receiving changes when only its rows cannot be read, once it is published', () => {
    const found = [finding('shop.bad', 'table-select')];
    expect(divided(found).planned).toEqual(['good']);
    const kept = divided(found, { published: [bad] });
    expect(kept.planned).toEqual(['good', 'bad']);
    expect(kept.leftOut).toMatchObject([{ table: 'shop.bad' }]);
    const more = [...found, finding('shop.bad', 'table-without-key')];
    expect(divided(more, { published: [bad] }).planned).toEqual(['good']);
  });

  it('is not left out for warnings', () => {
    const { planned, leftOut } = divided([finding('shop.bad', 'key-not-looked-up', 'warning')]);
    expect([planned, leftOut]).toEqual([['good', 'bad'], []]);
  });
});
