import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planTable, type TablePlan } from '../../cli/core/ddl.ts';
import {
  keyBatches,
  keyParts,
  sourceKeyCondition,
  targetKeyCondition,
} from '../../cli/core/keys.ts';
import { targetNames } from '../../cli/core/names.ts';
import { column, table } from '../harness/pipeline.ts';

function planOf(types: readonly string[]): TablePlan {
  const columns = types.map((type, i) => column(`k${i}`, type, { notNull: true }));
  const source = table('s', 't', columns, { key: columns.map((c) => c.name) });
  const names = targetNames([source], undefined).values().next().value;
  if (!names) throw new RangeError('no names');
  return planTable(source, names, 'cdc');
}

/** As both databases write it. */
function canonicalOf(plan: TablePlan, parts: readonly string[]): string {
  return plan.key
    .map((c, i) => (c.sized ? `${Buffer.byteLength(parts[i] ?? '')}:${parts[i]}` : parts[i]))
    .join('\u001f');
}

describe('the canonical text of a key', () => {
  it('gives its parts back, whatever characters they hold', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('', '\u001f', '3:a', 'é\u001f🐘'),
    );
    const part = fc.oneof(
      text.map((value) => ['text', value] as const),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((n) => ['int8', `${n}`] as const),
      fc.uuid().map((value) => ['uuid', value] as const),
    );
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), (key) => {
        const plan = planOf(key.map(([type]) => type));
        const parts = key.map(([, value]) => value);
        expect(keyParts(plan.key, canonicalOf(plan, parts))).toEqual(parts);
      }),
    );
  });
});

describe('conditions for whole keys', () => {
  it('name the columns, so that an index serves them', () => {
    const plan = planOf(['text', 'int8']);
    const keys = [canonicalOf(plan, ["it's", '7']), canonicalOf(plan, ['b', '7'])];
    expect(sourceKeyCondition(plan, keys)).toContain(
      `s."k0" IN ('it''s'::text, 'b'::text) AND s."k1" IN ('7'::bigint) AND coalesce(`,
    );
    expect(targetKeyCondition(plan, keys)).toContain(
      `\`k0\` IN ('it\\'s', 'b') AND \`k1\` IN (7) AND concat(`,
    );
  });

  it('are the column alone where it is the whole key and an integer', () => {
    const plan = planOf(['int4']);
    expect(sourceKeyCondition(plan, ['1', '-2'])).toBe(`s."k0" IN ('1'::bigint, '-2'::bigint)`);
    expect(targetKeyCondition(plan, ['1', '-2'])).toBe('`k0` IN (1, -2)');
  });

  it('are split so that a statement stays below the limit of the parser', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 3000 }), { maxLength: 300 }), (keys) => {
        const batches = keyBatches(keys);
        expect(batches.flat()).toEqual(keys);
        for (const batch of batches) {
          expect(batch.length).toBeGreaterThan(0);
          expect(Buffer.byteLength(batch.join(''))).toBeLessThan(262_144 / 4);
        }
      }),
    );
  });
});
