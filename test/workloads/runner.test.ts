import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type RunOptions, runWorkload } from '../../cli/workloads/runner.ts';
import type { Writer, Written } from '../../cli/workloads/workload.ts';
import { VirtualClock } from './virtual-clock.ts';

const inserts = (count: number): Written => ({ inserts: count, updates: 0, deletes: 0 });

function optionsFor(clock: VirtualClock, changes: Partial<RunOptions>): RunOptions {
  return {
    rate: 'max',
    durationMs: 1000,
    signal: new AbortController().signal,
    now: clock.now,
    sleep: clock.sleep,
    random: () => 0.5,
    concurrency: 4,
    ...changes,
  };
}

describe('runWorkload', () => {
  it('writes rate × duration within one tick', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 20_000 }),
        fc.integer({ min: 1, max: 5000 }),
        async (rate, durationMs) => {
          const clock = new VirtualClock();
          const writer: Writer = { write: async (count) => inserts(count) };
          const result = await clock.drive(
            runWorkload(writer, optionsFor(clock, { rate, durationMs, concurrency: 8 })),
          );
          const wanted = (rate * durationMs) / 1000;
          expect(result.written).toBeLessThanOrEqual(wanted + 1e-6);
          expect(result.written).toBeGreaterThan(wanted - Math.max(1, rate * 0.02) - 1e-6);
        },
      ),
      { numRuns: 30 },
    );
  });

  it('spreads the changes evenly over time', async () => {
    const clock = new VirtualClock();
    const perSecond = [0, 0, 0, 0];
    const writer: Writer = {
      write: async (count) => {
        const second = Math.min(3, Math.floor(clock.now() / 1000));
        perSecond[second] = (perSecond[second] ?? 0) + count;
        return inserts(count);
      },
    };
    await clock.drive(runWorkload(writer, optionsFor(clock, { rate: 1000, durationMs: 4000 })));
    for (const written of perSecond) expect(Math.abs(written - 1000)).toBeLessThanOrEqual(21);
  });

  it('makes up for a stall with no more than one second of writes', async () => {
    const clock = new VirtualClock();
    let calls = 0;
    const writer: Writer = {
      write: async (count) => {
        calls += 1;
        if (calls === 1) await clock.sleep(5000);
        return inserts(count);
      },
    };
    const result = await clock.drive(
      runWorkload(writer, optionsFor(clock, { rate: 1000, durationMs: 6000, concurrency: 1 })),
    );
    expect(result.written).toBeLessThanOrEqual(2020);
    expect(result.written).toBeGreaterThanOrEqual(1980);
  });

  it('gives back what a write left unused, so that a change of two rows gets through', async () => {
    const clock = new VirtualClock();
    const writer: Writer = { write: async (count) => inserts(count - (count % 2)) };
    const result = await clock.drive(
      runWorkload(writer, optionsFor(clock, { rate: 2, durationMs: 10_000 })),
    );
    expect(result.written).toBe(20);
  });

  it('keeps `concurrency` writes under way at max, and never more', async () => {
    const clock = new VirtualClock();
    let underWay = 0;
    let most = 0;
    const writer: Writer = {
      write: async (count) => {
        underWay += 1;
        most = Math.max(most, underWay);
        await clock.sleep(10);
        underWay -= 1;
        return inserts(count);
      },
    };
    const result = await clock.drive(runWorkload(writer, optionsFor(clock, {})));
    expect(most).toBe(4);
    // 1000 ms of 10 ms writes, four at a time, 200 changes each.
    expect(result.written).toBe(100 * 4 * 200);
    expect(underWay).toBe(0);
  });

  it('tries a write five times, waiting longer each time, then throws its error', async () => {
    const clock = new VirtualClock();
    const tries: number[] = [];
    const writer: Writer = {
      write: async () => {
        tries.push(clock.now());
        throw new Error('no route to host');
      },
    };
    const run = runWorkload(writer, optionsFor(clock, { concurrency: 1, durationMs: undefined }));
    await expect(clock.drive(run)).rejects.toThrow('no route to host');
    expect(tries).toEqual([0, 100, 500, 2100, 8500]);
  });

  it('goes on after a write that succeeds at the fifth try, and counts the errors', async () => {
    const clock = new VirtualClock();
    let calls = 0;
    const writer: Writer = {
      write: async (count) => {
        calls += 1;
        if (calls < 5) throw new Error('restarting');
        return { inserts: count - 2, updates: 1, deletes: 1 };
      },
    };
    const result = await clock.drive(
      runWorkload(writer, optionsFor(clock, { rate: 10, durationMs: 20_000, concurrency: 1 })),
    );
    expect(result).toMatchObject({ errors: 4, written: result.inserts + result.updates * 2 });
    expect(result.updates).toBe(result.deletes);
    expect(result.written).toBeGreaterThan(100);
  });

  it('ends at once on abort, with what was written so far', async () => {
    const clock = new VirtualClock();
    const controller = new AbortController();
    const writer: Writer = {
      write: async (count) => {
        if (clock.now() >= 3000) controller.abort(new Error('interrupted'));
        controller.signal.throwIfAborted();
        return inserts(count);
      },
    };
    const { signal } = controller;
    const result = await clock.drive(
      runWorkload(writer, optionsFor(clock, { rate: 100, durationMs: undefined, signal })),
    );
    expect(result.seconds).toBeCloseTo(3, 1);
    expect(result.written).toBeGreaterThanOrEqual(295);
    expect(result.errors).toBe(0);
  });

  it('does not sit out a back-off after abort', async () => {
    const clock = new VirtualClock();
    const controller = new AbortController();
    let tries = 0;
    const writer: Writer = {
      write: async () => {
        tries += 1;
        if (tries === 4) clock.sleep(1000).then(() => controller.abort());
        throw new Error('down');
      },
    };
    const { signal } = controller;
    const result = await clock.drive(
      runWorkload(writer, optionsFor(clock, { concurrency: 1, durationMs: undefined, signal })),
    );
    expect(result).toMatchObject({ written: 0, errors: 4 });
    expect(result.seconds).toBeCloseTo(3.1);
    expect(tries).toBe(4);
  });

  it('reports progress about once a second, with the rate since the last report', async () => {
    const clock = new VirtualClock();
    const rates: number[] = [];
    const writer: Writer = { write: async (count) => inserts(count) };
    await clock.drive(
      runWorkload(
        writer,
        optionsFor(clock, {
          rate: 500,
          durationMs: 5000,
          onProgress: (progress) => rates.push(progress.rate),
        }),
      ),
    );
    expect(rates.length).toBeGreaterThanOrEqual(4);
    for (const rate of rates) expect(Math.abs(rate - 500)).toBeLessThan(30);
  });
});
