import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatLsn, parseLsn } from '../../cli/core/lsn.ts';

const lsn = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn });

describe('LSN', () => {
  it('reads what PostgreSQL prints', () => {
    expect(parseLsn('16/B374D848')).toBe(0x16b374d848n);
    expect(parseLsn('0/0')).toBe(0n);
    expect(parseLsn('FFFFFFFF/ffffffff')).toBe(0xffff_ffff_ffff_ffffn);
  });

  it('writes what PostgreSQL prints: no leading zeros, capitals', () => {
    expect(formatLsn(0x16b374d848n)).toBe('16/B374D848');
    expect(formatLsn(0x1_0000_0001n)).toBe('1/1');
  });

  it('comes back equal from text', () => {
    fc.assert(fc.property(lsn, (value) => parseLsn(formatLsn(value)) === value));
  });

  it('keeps the order of positions', () => {
    fc.assert(
      fc.property(lsn, lsn, (a, b) => a < b === parseLsn(formatLsn(a)) < parseLsn(formatLsn(b))),
    );
  });

  it.each(['', '0', '/', '0/', '/0', 'G/0', '0/123456789', '0x1/0', ' 0/0', '-1/0'])(
    'refuses %j',
    (text) => {
      expect(() => parseLsn(text)).toThrow(RangeError);
    },
  );

  it('refuses numbers that no WAL has', () => {
    expect(() => formatLsn(-1n)).toThrow(RangeError);
    expect(() => formatLsn(1n << 64n)).toThrow(RangeError);
  });
});
