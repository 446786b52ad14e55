import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Problem } from '../../cli/core/problems.ts';
import { eachTable } from '../../cli/pipeline/load/eachTable.ts';

const silent = { step: () => {}, loading: () => {} };
const never = new AbortController().signal;
const failure = (table: number) =>
  new Problem('LOAD_FAILED', { table: `t${table}`, detail: 'it was dropped' });

describe('several tables are loaded', () => {
  it('four at once at most, and results are in their order', async () => {
    let running = 0;
    let most = 0;
    const tables = [9, 8, 7, 6, 5, 4, 3, 2, 1];
    const loaded = await eachTable(tables, { signal: never, events: silent }, async (table) => {
      running += 1;
      most = Math.max(most, running);
      await delay(table);
      running -= 1;
      return table * 10;
    });
    expect(loaded).toEqual({ done: tables.map((table) => table * 10), failed: [] });
    expect(most).toBe(4);
  });

  it('also when some of them fail, which are told when all are done', async () => {
    const loaded: number[] = [];
    const told: string[] = [];
    const events = { ...silent, failed: (text: string) => told.push(text) };
    const all = await eachTable([1, 2, 3, 4, 5, 6, 7], { signal: never, events }, async (table) => {
      if (table % 3 === 0) throw failure(table);
      loaded.push(table);
      return table;
    });
    expect(all.done).toEqual([1, 2, 4, 5, 7]);
    expect(all.failed.map(({ table, problem }) => [table, problem.code])).toEqual([
      [3, 'LOAD_FAILED'],
      [6, 'LOAD_FAILED'],
    ]);
    expect(loaded).toEqual([1, 2, 4, 5, 7]);
    expect(told).toHaveLength(2);
  });

  it('until a server is gone: then none is begun any more, and those that run are told', async () => {
    const begun: number[] = [];
    const gone = new Problem('CLICKHOUSE_UNREACHABLE', { endpoint: 'e', detail: 'd' });
    const all = eachTable(
      [1, 2, 3, 4, 5, 6],
      { signal: never, events: silent },
      (table, signal) => {
        begun.push(table);
        if (table === 2) return Promise.reject(gone);
        return new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason), { once: true });
        });
      },
    );
    await expect(all).rejects.toBe(gone);
    expect(begun).toEqual([1, 2, 3, 4]);
  });
});
