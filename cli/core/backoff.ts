const MINUTE_MS = 60_000;
/** What a moment has upset is over soon. */
const SOON_MS = [0, 5000, 15_000, 30_000, MINUTE_MS];
const MOST_MS = 20 * MINUTE_MS;

/** How long a task that failed waits for its next start, after so many in vain: n² + n minutes once it is not soon. */
export function restartAfterMs(starts: number): number {
  const n = starts - SOON_MS.length + 1;
  return SOON_MS[starts] ?? Math.min((n * n + n) * MINUTE_MS, MOST_MS);
}
