import { createHash } from 'node:crypto';

/** A sequence that a seed and a name determine; mulberry32. */
function sequence(seed: number, name: string): () => number {
  let state = createHash('sha256').update(`${seed}:${name}`).digest().readUInt32LE(0);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Some of the numbers below `count`, each as likely as any other, in order: at least one, and the
 * same for the same seed and name.
 */
export function sample(count: number, fraction: number, seed: number, name: string): number[] {
  const wanted = Math.min(count, Math.max(1, Math.round(count * fraction)));
  const next = sequence(seed, name);
  const chosen = new Set<number>();
  // Floyd's: as many steps as numbers are wanted.
  for (let top = count - wanted; top < count; top += 1) {
    const n = Math.floor(next() * (top + 1));
    chosen.add(chosen.has(n) ? top : n);
  }
  return [...chosen].sort((a, b) => a - b);
}
