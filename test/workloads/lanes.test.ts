import { describe, expect, it } from 'vitest';
import { deal, laneWriter } from '../../cli/workloads/lanes.ts';

interface Lane {
  readonly name: string;
  next: number;
}

const signal = new AbortController().signal;
const inserts = (count: number) => ({ inserts: count, updates: 0, deletes: 0 });

function plan(lane: Lane): string {
  lane.next += 1;
  return `${lane.name}${lane.next}`;
}

describe('laneWriter', () => {
  it('writes one batch of a lane at a time, in order, while lanes overlap', async () => {
    const log: string[] = [];
    const writer = laneWriter(
      [
        { name: 'a', next: 0 },
        { name: 'b', next: 0 },
      ],
      {
        plan,
        commit: async (batch: string) => {
          log.push(`+${batch}`);
          await new Promise((resolve) => setImmediate(resolve));
          log.push(`-${batch}`);
          return inserts(1);
        },
      },
    );
    await Promise.all(Array.from({ length: 10 }, () => writer.write(1, signal)));
    for (const lane of ['a', 'b']) {
      const own = log.filter((entry) => entry[1] === lane);
      expect(own).toEqual([1, 2, 3, 4, 5].flatMap((n) => [`+${lane}${n}`, `-${lane}${n}`]));
    }
    expect(log.slice(0, 2)).toEqual(['+a1', '+b1']);
  });

  it('repeats a failed batch before anything else of any lane, and says so', async () => {
    const log: string[] = [];
    let fail = true;
    const writer = laneWriter(
      [
        { name: 'a', next: 0 },
        { name: 'b', next: 0 },
      ],
      {
        plan,
        commit: async (batch: string, again) => {
          log.push(again ? `${batch} again` : batch);
          if (fail) throw new Error('lost');
          return inserts(1);
        },
      },
    );
    await expect(writer.write(1, signal)).rejects.toThrow('lost');
    await expect(writer.write(1, signal)).rejects.toThrow('lost');
    fail = false;
    await writer.write(1, signal);
    await writer.write(1, signal);
    await writer.write(1, signal);
    expect(log).toEqual(['a1', 'a1 again', 'a1 again', 'b1', 'a2']);
  });

  it('writes nothing when no change fits', async () => {
    const writer = laneWriter([{}], {
      plan: () => undefined,
      commit: () => Promise.reject(new Error('must not be called')),
    });
    await expect(writer.write(1, signal)).resolves.toEqual(inserts(0));
  });

  it('frees the lane for the next when a waiting write is aborted', async () => {
    const controller = new AbortController();
    const writer = laneWriter([{ name: 'a', next: 0 }], {
      plan,
      commit: async () => {
        controller.abort(new Error('stop'));
        return inserts(1);
      },
    });
    const results = await Promise.allSettled([
      writer.write(1, signal),
      writer.write(1, controller.signal),
      writer.write(1, signal),
    ]);
    expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });
});

describe('deal', () => {
  it('gives every item to exactly one lane', () => {
    expect(deal([1, 2, 3, 4, 5], 2)).toEqual([
      [1, 3, 5],
      [2, 4],
    ]);
    expect(deal([1], 3)).toEqual([[1], [], []]);
  });
});
