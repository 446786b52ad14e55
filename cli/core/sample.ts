import { createHash } from 'node:crypto';
import { type Random, seededRandom } from './random.ts';

/** A sequence that a seed and a name determine. */
function sequence(seed: number, name: string): Random {
  return seededRandom(createHash('sha256').update(`${seed}:${name}`).digest().readUInt32LE(0));
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
