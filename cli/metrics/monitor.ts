import { setMaxListeners } from 'node:events';
import type { Logger } from 'pino';
import {
  COLLECTORS,
  type MetricName,
  type ReadingName,
  type Sample,
  sample,
} from '../core/metrics.ts';
import { Problem } from '../core/problems.ts';
import { pause, within } from '../lib/wait.ts';
import { HEARTBEAT_LIMIT_MS } from '../pipeline/status/status.ts';
import { SERVER_NAMES } from '../stack/endpoints.ts';
import { type Pipeline, Readings } from './collectors.ts';
import { Latencies, page } from './exposition.ts';

const READ_MS = 4500;

interface IncrementalSnapshot {
  readonly samples: readonly Sample[];
  readonly atMs: number;
}

/**
 * Reads on its own, at a pace of its own, and keeps what it read last: a page costs the servers
 * nothing, however many ask. What could not be read the last time is not on the page.
 */
export class Monitor {
  private readonly readings: Readings;
  private readonly own: () => Sample[];
  private readonly log: Logger;
  private readonly latencies = new Latencies();
  private readonly last = new Map<ReadingName, IncrementalSnapshot>();
  /** The same, also after a look that failed: what health is judged by. An age grows by itself. */
  private readonly seen = new Map<ReadingName, IncrementalSnapshot>();
  private readonly up = new Map<string, boolean>();
  private readonly troubles = new Map<ReadingName, string>();

  /** @param own figures of the agent itself, which are read from no server. */
  constructor(pipeline: Pipeline, own: () => Sample[], log: Logger) {
    this.readings = new Readings(pipeline);
    this.own = own;
    this.log = log;
  }

  async run(signal: AbortSignal): Promise<void> {
    // Each loop waits for it; Node takes more than ten who wait for a leak.
    setMaxListeners(0, signal);
    const loops = Object.entries(this.readings.all).map(([name, read]) =>
      this.loop(name as ReadingName, read, signal),
    );
    await Promise.all(loops);
    await this.readings.close();
  }

  private async loop(
    name: ReadingName,
    read: () => Promise<Sample[]>,
    signal: AbortSignal,
  ): Promise<void> {
    while (!signal.aborted) {
      const startedAtMs = performance.now();
      await this.look(name, read);
      const restMs = COLLECTORS[name].everyMs - (performance.now() - startedAtMs);
      await pause(Math.max(200, restMs), signal).catch(() => {});
    }
  }

  private async look(name: ReadingName, read: () => Promise<Sample[]>): Promise<void> {
    try {
      const samples = await within(READ_MS, read);
      for (const one of samples) this.latencies.observe(one);
      const reading = { samples, atMs: performance.now() };
      this.last.set(name, reading);
      this.seen.set(name, reading);
      this.up.set(name, true);
      this.troubles.delete(name);
    } catch (error) {
      this.last.delete(name);
      // A server that refuses a question has answered.
      this.up.set(name, error instanceof Problem && error.code.endsWith('_REFUSED'));
      const message = (error as Error).message;
      if (this.troubles.get(name) !== message) {
        this.log.warn({ reading: name, error: message }, 'figures could not be read');
      }
      this.troubles.set(name, message);
    }
  }

  /** Age of the newest heartbeat that was seen to cross; absent before the first. */
  private heartbeatMs(): number | undefined {
    const reading = this.seen.get('heartbeats');
    const age = reading?.samples.find(({ metric }) => metric === 'cdc_heartbeat_age_seconds');
    return reading && age ? age.value * 1000 + performance.now() - reading.atMs : undefined;
  }

  /** Copied tables of which a figure was last seen. */
  private tables(reading: ReadingName, wanted: MetricName): string[] {
    const samples = this.seen.get(reading)?.samples ?? [];
    return samples
      .filter(({ metric }) => metric === wanted)
      .map(({ labels }) => labels.table ?? '');
  }

  health(): {
    healthy: boolean;
    heartbeat_age_ms: number | undefined;
    /** Copied tables whose changes wait, and those that changes can have passed by. */
    standing: readonly string[];
    gaps: readonly string[];
    troubles: object;
  } {
    const age = this.heartbeatMs();
    const standing = this.tables('clickhouse', 'cdc_table_standing');
    const gaps = this.tables('gaps', 'cdc_table_gap');
    // What was never read is not known to be well.
    const isRead = this.seen.has('gaps') && this.seen.has('clickhouse');
    const isWhole = isRead && standing.length + gaps.length === 0;
    return {
      healthy: age !== undefined && age < HEARTBEAT_LIMIT_MS && isWhole,
      standing,
      gaps,
      heartbeat_age_ms: age === undefined ? undefined : Math.round(age),
      troubles: Object.fromEntries(this.troubles),
    };
  }

  page(): Promise<string> {
    const nowMs = performance.now();
    const samples = [
      ...this.own(),
      ...sample('cdc_healthy', this.health().healthy),
      ...SERVER_NAMES.flatMap((component) =>
        sample('cdc_up', this.up.get(component), { component }),
      ),
      ...[...this.last].flatMap(([reading, { samples: read, atMs }]) => [
        ...sample('cdc_reading_age_seconds', (nowMs - atMs) / 1000, { reading }),
        ...read,
      ]),
    ];
    return page(samples, this.last.has('heartbeats') ? this.latencies : undefined);
  }
}
