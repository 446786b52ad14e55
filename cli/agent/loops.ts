import type pg from 'pg';
import type { Logger } from 'pino';
import { Connect } from '../components/connect/client.ts';
import { forgetReading, isSnapshotRunning } from '../components/connect/control.ts';
import { connectPostgres } from '../components/postgres/client.ts';
import { writeHeartbeat } from '../components/postgres/prepare.ts';
import type { Config } from '../config/schema.ts';
import { restartAfterMs } from '../core/backoff.ts';
import { heartbeatOf, type PipelineNames } from '../core/names.ts';
import { PROFILES } from '../core/profiles.ts';
import { formatSeconds } from '../lib/format.ts';
import { pgIdent } from '../lib/sql.ts';
import { pause } from '../lib/wait.ts';
import type { Endpoints } from '../stack/endpoints.ts';
import type { SourceWatch } from './sourceWatch.ts';

/** Reports the trouble of a loop; undefined when it goes well. */
type Report = (loop: string, trouble: string | undefined) => void;

/** A heartbeat that takes longer is tried on another connection. */
const ANSWERS_MS = 15_000;
const TASK_CHECK_MS = 2000;
/** Without a failure for so long, the next one is the first. */
const HEALTHY_AFTER_MS = 120_000;

/** The agent's control loops: heartbeat, connector. Each survives what it watches. */
export class ControlLoops {
  private readonly config: Config;
  private readonly names: PipelineNames;
  private readonly endpoints: Endpoints;
  private readonly source: SourceWatch;
  private readonly log: Logger;
  private readonly report: Report;
  /** Times that a failed connector or task was started again. */
  taskRestarts = 0;
  /** When the source answered again after it had not. */
  private sourceBackAtMs = 0;

  constructor(
    { config, names }: { readonly config: Config; readonly names: PipelineNames },
    endpoints: Endpoints,
    source: SourceWatch,
    log: Logger,
    report: Report,
  ) {
    this.config = config;
    this.names = names;
    this.endpoints = endpoints;
    this.source = source;
    this.log = log;
    this.report = report;
  }

  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.heartbeats(signal), this.connector(signal)]);
  }

  /** Writes the heartbeat row, on one connection that is recreated when it breaks. */
  private async heartbeats(signal: AbortSignal): Promise<void> {
    const heartbeat = heartbeatOf(this.names.own);
    const everyMs = PROFILES[this.config.profile].heartbeatMs;
    let client: pg.Client | undefined;
    let wasAway = false;
    while (!signal.aborted) {
      try {
        if (client === undefined) {
          client = await connectPostgres(this.endpoints.postgres, { answersWithinMs: ANSWERS_MS });
          // It can have been put back to an older state, whose heartbeats would catch up with those of before.
          await this.source.look();
        }
        const ready = await client.query('SELECT 1 WHERE to_regclass($1) IS NOT NULL', [
          pgIdent(heartbeat.schema, heartbeat.table),
        ]);
        if (ready.rowCount !== 0 && !this.source.isBroken) {
          await writeHeartbeat(client, this.names);
        }
        this.report('heartbeat', undefined);
        if (wasAway) this.sourceBackAtMs = performance.now();
        wasAway = false;
      } catch (error) {
        wasAway = true;
        this.report('heartbeat', (error as Error).message);
        await client?.end().catch(() => {});
        client = undefined;
      }
      await pause(everyMs, signal).catch(() => {});
    }
    await client?.end().catch(() => {});
  }

  /** Restarts failed tasks, waiting longer each time they fail again; who repairs and restarts one need not wait. */
  private async connector(signal: AbortSignal): Promise<void> {
    const connect = new Connect(this.endpoints.connect);
    const { connector: name } = this.names;
    let restarts = 0;
    let failedAtMs: number | undefined;
    let healthySinceMs = performance.now();
    while (!signal.aborted) {
      try {
        const status = await connect.status(name);
        const failed =
          status && [status.connector, ...status.tasks].find((part) => part.state === 'FAILED');
        if (failed) {
          healthySinceMs = performance.now();
          failedAtMs ??= healthySinceMs;
          if (this.sourceBackAtMs > failedAtMs) {
            // What it failed for is over, perhaps: it is as if it had failed now for the first time.
            failedAtMs = this.sourceBackAtMs;
            restarts = 0;
          }
          const waitMs = failedAtMs + restartAfterMs(restarts) - healthySinceMs;
          this.report(
            'connector',
            `a task of ${name} failed; restart ${restarts + 1} ${waitMs > 0 ? `in ${formatSeconds(waitMs / 1000)}` : 'now'}`,
          );
          if (waitMs <= 0) {
            await this.startAgain(connect, restarts, failed.trace);
            restarts += 1;
            failedAtMs = undefined;
          }
        } else {
          this.report('connector', undefined);
          failedAtMs = undefined;
          if (performance.now() - healthySinceMs > HEALTHY_AFTER_MS) restarts = 0;
        }
      } catch (error) {
        if (!signal.aborted) this.report('connector', (error as Error).message);
      }
      await pause(TASK_CHECK_MS, signal).catch(() => {});
    }
  }

  private async startAgain(connect: Connect, restarts: number, trace?: string): Promise<void> {
    const { connector: name } = this.names;
    this.log.warn({ connector: name, trace: trace?.split('\n')[0] }, 'restarting a failed task');
    // Failed again at its start: what it cannot take up is a reading of tables, if there is one.
    if (restarts > 0 && (await isSnapshotRunning(connect, name))) {
      this.log.warn({ connector: name }, 'forgetting the tables that it was reading');
      await forgetReading(connect, name);
    } else {
      await connect.restart(name, true);
      this.taskRestarts += 1;
    }
  }
}
