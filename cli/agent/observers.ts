import type { LoadedConfig } from '../config/load.ts';
import { installCommandOf, type observersToRun } from '../runtimes/embedded/observers/programs.ts';
import { observerServers } from '../runtimes/embedded/observers/servers.ts';
import type { ServerSetting } from '../runtimes/embedded/servers/server.ts';
import { Supervisor } from '../runtimes/embedded/supervisor.ts';
import type { Endpoints } from '../stack/endpoints.ts';
import type { ExtraPorts } from '../stack/layout.ts';
import type { ServerStatus } from '../stack/state.ts';

/**
 * Prometheus, Alertmanager and exporters beside the servers. They start when the pipeline’s servers are
 * ready, and whatever becomes of them is only said: the pipeline does not need them.
 */
export class Observers {
  private readonly toRun: ReturnType<typeof observersToRun>;
  private readonly setting: ServerSetting;
  private readonly onChange: () => void;
  private supervisor: Supervisor | undefined;

  constructor(
    toRun: ReturnType<typeof observersToRun>,
    setting: ServerSetting,
    onChange: () => void,
  ) {
    this.toRun = toRun;
    this.setting = setting;
    this.onChange = onChange;
  }

  async start(
    { config, directory }: LoadedConfig,
    endpoints: Endpoints,
    ports: ExtraPorts,
    marker: string,
  ): Promise<void> {
    const { layout, secrets, ports: jmx } = this.setting;
    const { programs } = this.toRun;
    const servers = observerServers({
      config,
      directory,
      layout,
      secrets,
      endpoints,
      jmx,
      ports,
      programs,
    });
    this.supervisor = new Supervisor(servers, this.setting, { marker, onChange: this.onChange });
    // Which one failed, and why, is in its status.
    await this.supervisor.start().catch(() => {});
  }

  stop(): Promise<void> {
    return this.supervisor?.stop() ?? Promise.resolve();
  }

  statuses(): ServerStatus[] {
    const missing = this.toRun.missing.map(
      (name): ServerStatus => ({
        name,
        state: 'failed',
        pid: undefined,
        restarts: 0,
        startSeconds: undefined,
        detail: `it is not installed: ${installCommandOf()}`,
      }),
    );
    return [...(this.supervisor?.statuses() ?? []), ...missing];
  }
}
