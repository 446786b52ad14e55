import type { Random } from '../core/random.ts';

/** A whole number from `low` to `high`, both included. */
export function between(random: Random, low: number, high: number): number {
  return low + Math.floor(random() * (high - low + 1));
}

/** One item of a list that is not empty. */
export function pick<T>(random: Random, items: readonly T[]): T {
  const item = items[Math.floor(random() * items.length)];
  if (item === undefined) throw new RangeError('pick from an empty list');
  return item;
}

/** Takes one item out of a list without keeping its order; undefined when it is empty. */
export function takeAny<T>(random: Random, items: T[]): T | undefined {
  const last = items.pop();
  if (last === undefined || items.length === 0) return last;
  const at = Math.floor(random() * (items.length + 1));
  if (at === items.length) return last;
  const taken = items[at];
  items[at] = last;
  return taken;
}
