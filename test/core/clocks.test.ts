import { describe, expect, it } from 'vitest';
import { checkClock, clockAhead } from '../../cli/core/clocks.ts';

describe('the clock of a server', () => {
  it('is compared with the middle of question and answer', () => {
    const reading = { askedMs: 1000, answeredMs: 1400, saidMs: 1200 };
    expect(clockAhead(reading)).toEqual({ aheadMs: 0, errorMs: 200 });
  });

  it('is a warning only where it is surely more than a second off, and that says how far and which way', () => {
    const at = (saidMs: number, tripMs = 0) =>
      checkClock('postgres', 'PostgreSQL', { askedMs: 0, answeredMs: tripMs, saidMs });
    expect(at(1000)).toEqual([]);
    expect(at(-1000)).toEqual([]);
    // Of a slow answer the clock may have been read at any moment.
    expect(at(2400, 2000)).toEqual([]);
    expect(at(90_000, 200)[0]).toMatchObject({ id: 'clock-differs', severity: 'warning' });
    expect(at(90_000, 200)[0]?.message).toContain(
      "PostgreSQL's clock is 90 s ahead of this machine's (± 100 ms)",
    );
    expect(at(-1500)[0]?.message).toContain("1500 ms behind this machine's");
  });
});
