import { NOTHING_WRITTEN, type Writer, type Written } from './workload.ts';

/** How many writes of one writer can be under way; below the ten connections a pool may have. */
export const LANES = 8;

/** What a lane does: `plan` decides on changes and remembers them, `commit` writes them. */
interface LaneWork<Lane, Batch> {
  /** At most `count` row changes; undefined when not even one fits. Pure but for the lane's state. */
  plan(lane: Lane, count: number): Batch | undefined;
  /** `again` tells that an earlier attempt failed, perhaps after the server had committed it. */
  commit(batch: Batch, again: boolean, signal: AbortSignal): Promise<Written>;
}

interface Slot<Lane, Batch> {
  readonly lane: Lane;
  /** The batch whose commit failed; it goes first, or the lane's later changes would overtake it. */
  failed: Batch | undefined;
}

/**
 * A writer made of lanes. What must stay in order (the events of a user) belongs to one lane, and
 * a lane writes one batch at a time; different lanes write at the same time.
 */
export function laneWriter<Lane, Batch>(
  lanes: readonly Lane[],
  work: LaneWork<Lane, Batch>,
): Writer {
  const free: Slot<Lane, Batch>[] = lanes.map((lane) => ({ lane, failed: undefined }));
  const waiting: ((slot: Slot<Lane, Batch>) => void)[] = [];

  const acquire = async (): Promise<Slot<Lane, Batch>> =>
    free.shift() ?? new Promise((resolve) => waiting.push(resolve));

  const release = (slot: Slot<Lane, Batch>): void => {
    const next = waiting.shift();
    if (next) next(slot);
    else if (slot.failed !== undefined) free.unshift(slot);
    else free.push(slot);
  };

  return {
    async write(count, signal) {
      signal.throwIfAborted();
      const slot = await acquire();
      try {
        signal.throwIfAborted();
        const again = slot.failed !== undefined;
        const batch = slot.failed ?? work.plan(slot.lane, count);
        if (batch === undefined) return { ...NOTHING_WRITTEN };
        slot.failed = batch;
        const written = await work.commit(batch, again, signal);
        slot.failed = undefined;
        return written;
      } finally {
        release(slot);
      }
    },
  };
}

/** Deals items out to lanes, one after the other. */
export function deal<T>(items: readonly T[], lanes: number): T[][] {
  const hands: T[][] = Array.from({ length: lanes }, () => []);
  items.forEach((item, index) => {
    hands[index % lanes]?.push(item);
  });
  return hands;
}
