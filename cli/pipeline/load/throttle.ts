import { pauseAfter } from '../../core/dutyCycle.ts';
import { pause } from '../../lib/wait.ts';

/** How much of the time may be spent working. */
export interface Throttle {
  /** The work's result; comes back later than it could where time is to pass. */
  work<T>(run: () => Promise<T>): Promise<T>;
  /** After work that took so long, and that no pause may interrupt. */
  rest(workedMs: number): Promise<void>;
  /** Whether a statement should use one processor only. */
  readonly lowPriority: boolean;
}

export const FULL_SPEED: Throttle = {
  work: (run) => run(),
  rest: async () => {},
  lowPriority: false,
};

/** After every piece of work a pause, so long that work is this fraction of the time. */
export function dutyCycle(fraction: number, signal: AbortSignal): Throttle {
  const rest = (workedMs: number) => pause(pauseAfter(workedMs, fraction), signal);
  return {
    lowPriority: true,
    rest,
    work: async (run) => {
      const startedAtMs = performance.now();
      const result = await run();
      await rest(performance.now() - startedAtMs);
      return result;
    },
  };
}
