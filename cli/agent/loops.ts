import type pg from 'pg';
import type { Logger } from 'pino';
import { Connect } from '../components/connect/client.ts';
import { forgetReading, isSnapshotRunning } from '../components/connect/control.ts';
import { connectPostgres } from '../components/postgres/client.ts';
import { writeHeartbeat } from '../components/postgres/prepare.ts';
import type { Config } from '../config/schema.ts';
import { heartbeatOf, type PipelineNames } from '../core/names.ts';
import { PROFILES } from '../core/profiles.ts';
import { pgIdent } from '../lib/sql.ts';
import { pause } from '../lib/wait.ts';
import type { Endpoints } from '../stack/endpoints.ts';
import type { SourceWatch } from './sourceWatch.ts';

/** Reports the trouble of a loop; undefined when it goes well. */
type Report = (loop: string, trouble: string | undefined) => void;

const TASK_CHECK_MS = 2000;
const RESTART_BACKOFF_MS = [0, 5000, 15_000, 60_000];

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
    while (!signal.aborted) {
      try {
        if (client === undefined) {
          client = await connectPostgres(this.endpoints.postgres);
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
      } catch (error) {
        this.report('heartbeat', (error as Error).message);
        await client?.end().catch(() => {});
        client = undefined;
      }
      await pause(everyMs, signal).catch(() => {});
    }
    await client?.end().catch(() => {});
  }

  /** Restarts failed tasks, waiting longer each time they fail again. */
  private async connector(signal: AbortSignal): Promise<void> {
    const connect = new Connect(this.endpoints.connect);
    const { connector: name } = this.names;
    let restarts = 0;
    let healthySinceMs = performance.now();
    while (!signal.aborted) {
      try {
        const status = await connect.status(name);
        const failed =
          status && [status.connector, ...status.tasks].find((part) => part.state === 'FAILED');
        if (failed) {
          const wait = RESTART_BACKOFF_MS[Math.min(restarts, RESTART_BACKOFF_MS.length - 1)] ?? 0;
          this.report(
            'connector',
            `a task of ${name} failed; restart ${restarts + 1} in ${wait / 1000} s`,
          );
          this.log.warn(
            { connector: name, trace: failed.trace?.split('\n')[0] },
            'restarting a failed task',
          );
          await pause(wait, signal);
          // Failed again at its start: what it cannot take up is a reading of tables, if there is one.
          if (restarts > 0 && (await isSnapshotRunning(connect, name))) {
            this.log.warn({ connector: name }, 'forgetting the tables that it was reading');
            await forgetReading(connect, name);
          } else {
            await connect.restart(name, true);
            this.taskRestarts += 1;
          }
          restarts += 1;
          healthySinceMs = performance.now();
        } else {
          this.report('connector', undefined);
          if (performance.now() - healthySinceMs > 120_000) restarts = 0;
        }
      } catch (error) {
        if (!signal.aborted) this.report('connector', (error as Error).message);
      }
      await pause(TASK_CHECK_MS, signal).catch(() => {});
    }
  }
}
