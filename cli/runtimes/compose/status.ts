import type Docker from 'dockerode';
import { SERVER_NAMES } from '../../stack/endpoints.ts';
import type { PartStatus } from '../runtime.ts';

/** The parts of `docker inspect` that tell how a container is. */
export interface ContainerState {
  readonly Status: string;
  readonly ExitCode: number;
  readonly OOMKilled: boolean;
  readonly Error?: string;
  readonly Health?: {
    readonly Status: string;
    readonly Log?: readonly { readonly Output: string }[];
  };
}

const PROJECT = 'com.docker.compose.project';
const SERVICE = 'com.docker.compose.service';
/** Runs to its end before all others. */
const ONE_SHOT = 'secrets';

/** State, reason and cure of a container that is called `name`. */
export function containerStatus(
  service: string,
  name: string,
  state: ContainerState,
): Pick<PartStatus, 'state' | 'detail' | 'fix'> {
  const logs = `cdc logs ${service}`;
  const ended = `it ended with exit code ${state.ExitCode}`;
  const memory = 'it needed more memory than mem_limit in docker-compose.yml gives it';
  switch (state.Status) {
    case 'paused':
      return {
        state: 'paused',
        detail: 'somebody paused it',
        fix: `docker unpause ${name}   # or: cdc up`,
      };
    case 'restarting':
      return state.OOMKilled
        ? { state: 'out of memory', detail: `${memory}; it is started again`, fix: logs }
        : { state: 'restarting', detail: `${ended} and is started again`, fix: logs };
    case 'running': {
      const health = state.Health?.Status;
      const said = state.Health?.Log?.at(-1)?.Output.trim().split('\n').at(-1);
      if (health === 'unhealthy')
        return { state: 'unhealthy', detail: said || 'its health check fails', fix: logs };
      if (health === 'starting') return { state: 'starting', detail: undefined, fix: undefined };
      return { state: 'ready', detail: undefined, fix: undefined };
    }
    default:
      if (state.OOMKilled)
        return { state: 'out of memory', detail: memory, fix: 'cdc up   # starts it again' };
      return {
        state: state.Status === 'exited' ? 'stopped' : state.Status,
        detail: state.Error || (state.Status === 'exited' ? ended : undefined),
        fix: 'cdc up   # starts it again; cdc logs says what it did',
      };
  }
}

export interface FoundContainer {
  readonly service: string;
  readonly id: string;
  readonly name: string;
  readonly status: string;
}

/** The containers of a project, without the one that only prepares. */
export async function containersOf(docker: Docker, project: string): Promise<FoundContainer[]> {
  const found = await docker.listContainers({
    all: true,
    filters: { label: [`${PROJECT}=${project}`] },
  });
  return found
    .map((one) => ({
      service: one.Labels[SERVICE] ?? '',
      id: one.Id,
      name: (one.Names[0] ?? one.Id).replace(/^\//, ''),
      status: one.State,
    }))
    .filter((one) => one.service !== ONE_SHOT)
    .sort((a, b) => rank(a.service) - rank(b.service) || a.service.localeCompare(b.service));
}

/** Agent and servers first, in the order of the pipeline. */
function rank(service: string): number {
  const order = ['agent', ...SERVER_NAMES];
  const at = order.indexOf(service);
  return at < 0 ? order.length : at;
}

/** How each container of a project is. */
export async function containersStatus(docker: Docker, project: string): Promise<PartStatus[]> {
  const found = await containersOf(docker, project);
  return Promise.all(
    found.map(async (one) => {
      const container = docker.getContainer(one.id);
      const [inspected, memory] = await Promise.all([
        container.inspect(),
        one.status === 'running' ? memoryOf(container) : undefined,
      ]);
      return {
        name: one.service,
        ...containerStatus(one.service, one.name, inspected.State as ContainerState),
        restarts: inspected.RestartCount,
        memory_bytes: memory,
      };
    }),
  );
}

/** What its processes use, without the file cache, as `docker stats` shows it. */
async function memoryOf(container: Docker.Container): Promise<number | undefined> {
  try {
    const stats = await container.stats({ stream: false, 'one-shot': true });
    const { usage, stats: parts } = stats.memory_stats;
    if (usage === undefined) return undefined;
    const cache = (parts as Record<string, number | undefined> | undefined) ?? {};
    return usage - (cache.total_inactive_file ?? cache.inactive_file ?? 0);
  } catch {
    // It ended meanwhile.
    return undefined;
  }
}
