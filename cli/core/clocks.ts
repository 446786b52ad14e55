import { formatMs } from '../lib/format.ts';
import type { Finding } from './findings.ts';

/** What a clock said in answer to a question, and when that was asked and answered by this machine's. */
export interface ClockReading {
  readonly askedMs: number;
  readonly answeredMs: number;
  readonly saidMs: number;
}

/** A clock that is further from another than this makes figures wrong that people look at. */
const LIMIT_MS = 1000;

/**
 * How far a clock is ahead of this machine's: it was read somewhere between question and answer, so by half of the
 * time between them the figure can be wrong either way.
 */
export function clockAhead({ askedMs, answeredMs, saidMs }: ClockReading): {
  readonly aheadMs: number;
  readonly errorMs: number;
} {
  const errorMs = (answeredMs - askedMs) / 2;
  return { aheadMs: saidMs - (askedMs + errorMs), errorMs };
}

/** A clock that is surely wrong, or that this machine's is: nobody here knows which. */
export function checkClock(server: string, title: string, reading: ClockReading): Finding[] {
  const { aheadMs, errorMs } = clockAhead(reading);
  const far = Math.abs(aheadMs);
  if (far - errorMs <= LIMIT_MS) return [];
  return [
    {
      id: 'clock-differs',
      severity: 'warning',
      subject: server,
      message: `${title}'s clock is ${formatMs(far)} ${aheadMs > 0 ? 'ahead of' : 'behind'} this machine's (± ${formatMs(errorMs)}): what compares times of two machines (lag of a stage, a TTL) can be wrong by as much; the copy itself goes by WAL positions`,
      fix: 'timedatectl   # on both machines: is the clock synchronized? then: systemctl restart chrony (or systemd-timesyncd)',
    },
  ];
}
