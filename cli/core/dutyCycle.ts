/** How long to rest after work, so that work is this fraction of the time. */
export function pauseAfter(workedMs: number, fraction: number): number {
  return workedMs * (1 / fraction - 1);
}
