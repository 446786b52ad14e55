import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  formatBytes,
  formatCount,
  formatMs,
  formatSeconds,
  parseBytes,
  parseDurationMs,
} from '../../cli/lib/format.ts';

describe('figures', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [1024 * 150, '150 KiB'],
    [5.25 * 1024 ** 3, '5.3 GiB'],
  ])('%d bytes are %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  it('never show a unit more than a thousandfold', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 49 }), (bytes) => {
        expect(Number.parseFloat(formatBytes(bytes))).toBeLessThan(1024);
      }),
    );
  });

  it.each([
    [0.05, '0.1 s'],
    [9.94, '9.9 s'],
    [59.6, '60 s'],
    [119.4, '119 s'],
    [119.6, '2 min 0 s'],
    [179.7, '3 min 0 s'],
    [3599.7, '60 min 0 s'],
    [7200, '2 h 0 min'],
  ])('%d seconds are %s', (seconds, text) => {
    expect(formatSeconds(seconds)).toBe(text);
  });

  it('never say 60 s within a minute', () => {
    fc.assert(
      fc.property(fc.double({ min: 120, max: 1e6, noNaN: true }), (seconds) => {
        expect(formatSeconds(seconds)).not.toMatch(/ 60 s| 60 min$/);
      }),
    );
  });

  it.each([
    [3.1234, '3.1 ms'],
    [42.4, '42 ms'],
    [10_000, '10 s'],
  ])('%d milliseconds are %s', (ms, text) => {
    expect(formatMs(ms)).toBe(text);
  });

  it('counts have separators', () => {
    expect(formatCount(1234567.4)).toBe('1,234,567');
  });
});

describe('parseDurationMs', () => {
  it.each([
    ['20s', 20_000],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['250ms', 250],
    ['1.5s', 1500],
    ['3', 3000],
    [' 3s ', 3000],
  ])('%s is %d ms', (text, ms) => {
    expect(parseDurationMs(text)).toBe(ms);
  });

  it.each(['', 's', '-1s', '1d', '1 s', '1e3', 'NaN', 'Infinity'])('refuses %j', (text) => {
    expect(parseDurationMs(text)).toBeUndefined();
  });
});

describe('parseBytes', () => {
  it.each([
    ['512MB', 512 * 1024 ** 2],
    ['50 GB', 50 * 1024 ** 3],
    ['1.5TB', 1.5 * 1024 ** 4],
    ['1kB', 1024],
  ])('reads %s as PostgreSQL does', (text, bytes) => {
    expect(parseBytes(text)).toBe(bytes);
  });

  it.each(['', '50', '50GiB', '-1GB', 'GB', '1gb'])('does not read %s', (text) => {
    expect(parseBytes(text)).toBeUndefined();
  });
});
