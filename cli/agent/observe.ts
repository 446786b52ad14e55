import { closeSync, readFileSync, statfsSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Logger } from 'pino';
import { z } from 'zod';
import { targetOf } from '../backup/store.ts';
import type { Config } from '../config/schema.ts';
import { ALERT_NAMES, runbookPath } from '../core/alerts.ts';
import { type Sample, sample } from '../core/metrics.ts';
import type { PipelineNames } from '../core/names.ts';
import { packageRoot } from '../lib/packageRoot.ts';
import { pause } from '../lib/wait.ts';
import { Monitor } from '../metrics/monitor.ts';
import { type Routes, serve } from '../metrics/server.ts';
import { processStatus } from '../runtimes/embedded/status.ts';
import { openLog } from '../runtimes/embedded/supervisor.ts';
import { memoryByPart } from '../runtimes/memory.ts';
import type { Endpoints } from '../stack/endpoints.ts';
import type { Layout, Secrets } from '../stack/layout.ts';
import type { AgentState } from '../stack/state.ts';

const LISTEN_AGAIN_MS = 5000;

interface Observed {
  readonly config: Config;
  readonly names: PipelineNames;
  readonly endpoints: Endpoints;
  readonly layout: Layout;
  readonly secrets: Secrets;
  readonly port: number;
  readonly log: Logger;
  /** What the agent knows of itself. */
  state(): AgentState;
  taskRestarts(): number;
  report(loop: string, trouble: string | undefined): void;
  /** Called when the endpoint answers. */
  listening(url: string): void;
}

/** Serves /metrics and /health until the signal fires. That it cannot is said, and tried again. */
export async function serveMetrics(observed: Observed, signal: AbortSignal): Promise<void> {
  const { config, names, layout, secrets, port, log } = observed;
  const monitor = new Monitor(
    {
      config,
      endpoints: observed.endpoints,
      names,
      cursorFile: join(layout.root, 'metrics.json'),
      backups: targetOf({ config, directory: dirname(layout.root) }),
    },
    () => ownFigures(observed),
    log,
  );
  const json = 'application/json';
  const routes = {
    'GET /metrics': async () => ({
      status: 200,
      type: 'text/plain; version=0.0.4; charset=utf-8',
      text: await monitor.page(),
    }),
    ...runbookRoutes(),
    'POST /alerts': (body: string) => {
      const isTaken = appendAlerts(layout, body);
      const [status, text] = isTaken ? [200, 'ok\n'] : [400, 'That is no notification.\n'];
      return { status, type: 'text/plain', text };
    },
    'GET /health': () => {
      const health = monitor.health();
      return {
        status: health.healthy ? 200 : 503,
        type: json,
        text: `${JSON.stringify(health)}\n`,
      };
    },
  };
  const listen = async () => {
    const host = config.agent.listen;
    while (!signal.aborted) {
      try {
        const onError = (error: Error) => log.warn({ error: error.message }, 'answering a request');
        const end = await serve({ host, port, password: secrets.agent, onError }, routes);
        observed.report('metrics', undefined);
        observed.listening(`http://${host.includes(':') ? `[${host}]` : host}:${port}`);
        await new Promise<void>((resolve) => {
          if (signal.aborted) resolve();
          signal.addEventListener('abort', () => resolve(), { once: true });
        });
        await end();
      } catch (error) {
        observed.report('metrics', (error as Error).message);
        await pause(LISTEN_AGAIN_MS, signal).catch(() => {});
      }
    }
  };
  await Promise.all([monitor.run(signal), listen()]);
}

/** Dashboards link to these: whoever is woken at night reads them in a browser. */
function runbookRoutes(): Routes {
  return Object.fromEntries(
    ALERT_NAMES.map((name) => [
      `GET /runbooks/${name}`,
      () => ({
        status: 200,
        type: 'text/markdown; charset=utf-8',
        text: readFileSync(join(packageRoot(), runbookPath(name)), 'utf8'),
      }),
    ]),
  );
}

/**
 * What Alertmanager posts, a line per alert: `cdc logs alerts`.
 *
 * @returns whether it is that.
 */
function appendAlerts(layout: Layout, body: string): boolean {
  let alerts: z.infer<typeof notification>['alerts'];
  try {
    ({ alerts } = notification.parse(JSON.parse(body)));
  } catch {
    return false;
  }
  const lines = alerts.map((alert) =>
    JSON.stringify({
      time: alert.status === 'resolved' ? alert.endsAt : alert.startsAt,
      level:
        LOG_LEVELS[alert.status === 'resolved' ? 'resolved' : (alert.labels.severity ?? '')] ?? 40,
      msg: `${alert.status}: ${alert.labels.alertname}`,
      ...alert.annotations,
    }),
  );
  const log = openLog(layout.log('alerts'));
  try {
    writeSync(log, `${lines.join('\n')}\n`);
  } finally {
    closeSync(log);
  }
  return true;
}

/** As pino numbers them. */
const LOG_LEVELS: Readonly<Record<string, number>> = { resolved: 30, warning: 40, critical: 50 };

const notification = z.object({
  alerts: z.array(
    z.object({
      status: z.string(),
      labels: z.record(z.string(), z.string()),
      annotations: z.record(z.string(), z.string()),
      startsAt: z.string(),
      endsAt: z.string(),
    }),
  ),
});

const LOOPS = ['heartbeat', 'connector', 'slot', 'source', 'schema', 'backup', 'archive'] as const;

function ownFigures({ layout, state, taskRestarts }: Observed): Sample[] {
  const agent = state();
  const disk = statfsSync(layout.root);
  const servers = [...agent.servers, ...agent.observers];
  return [
    ...sample('cdc_task_restarts_total', taskRestarts()),
    ...servers.flatMap(({ name: server, restarts }) =>
      sample('cdc_server_restarts_total', restarts, { server }),
    ),
    ...Object.entries(memoryByPart(processStatus(agent))).flatMap(([process, bytes]) =>
      sample('cdc_process_memory_bytes', bytes, { process }),
    ),
    ...LOOPS.flatMap((loop) =>
      sample('cdc_loop_trouble', agent.loops[loop] !== undefined, { loop }),
    ),
    ...sample('cdc_disk_free_bytes', disk.bavail * disk.bsize),
    ...sample('cdc_disk_size_bytes', disk.blocks * disk.bsize),
  ];
}
