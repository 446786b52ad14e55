import type { Logger } from 'pino';
import {
  findInFolder,
  findMarked,
  isAlive,
  isSameProcess,
  processStart,
  processTree,
  signalQuietly,
} from '../../lib/processes.ts';
import { waitFor } from '../../lib/wait.ts';
import type { Layout } from '../../stack/layout.ts';
import { type AgentState, type ProcessName, RELEASE, stackMarker } from '../../stack/state.ts';
import { postgresFolders } from './servers/postgres.ts';

/** What every process of a stack has in its environment. */
export function markOf(layout: Layout): string {
  return `CDC_STACK=${stackMarker(layout)}`;
}

/** Of an agent, its parent. */
const KEEPER = process.ppid;

/**
 * Servers that go on though their agent was killed, by name: the next one takes them over, where it would start them as
 * they were started.
 */
export function adoptable(
  layout: Layout,
  before: AgentState | undefined,
  now: Pick<AgentState, 'profile' | 'settingsDigest'>,
): ReadonlyMap<ProcessName, number> {
  const isSame =
    before?.phase === 'ready' &&
    before.release === RELEASE &&
    before.profile === now.profile &&
    before.settingsDigest === now.settingsDigest;
  if (!isSame) return new Map();
  const marked = new Set(findMarked(markOf(layout)));
  return new Map(
    before.servers.flatMap(({ name, pid, state }) =>
      pid !== undefined && state === 'ready' && marked.has(pid) ? [[name, pid] as const] : [],
    ),
  );
}

/**
 * Ends what an agent that was killed left running, so that no two servers share a data folder.
 *
 * @param kept processes that go on, with all below them.
 */
export async function endLeftovers(
  layout: Layout,
  log?: Logger,
  kept: readonly number[] = [],
): Promise<number[]> {
  const find = () => {
    const stay = new Set(kept.flatMap(processTree));
    const found = [...findMarked(markOf(layout)), ...postgresFolders(layout).flatMap(findPostgres)];
    return [...new Set(found)].filter((pid) => !stay.has(pid) && pid !== KEEPER);
  };
  const leftovers = find();
  if (leftovers.length === 0) return [];
  log?.warn({ pids: leftovers }, 'ending processes that a killed agent left');
  // A process that is about to end cannot always be read; those found once are waited for by pid.
  const found = leftovers.map((pid) => ({ pid, start: processStart(pid) }));
  for (const pid of leftovers) signalQuietly(pid, 'SIGINT');
  const softDeadlineMs = performance.now() + 8000;
  await waitFor('leftover processes to end', { timeoutMs: 20_000, everyMs: 100 }, () => {
    const known = found.filter(({ pid, start }) => isSameProcess(pid, start)).map(({ pid }) => pid);
    const alive = [...new Set([...known, ...find().filter(isAlive)])];
    if (alive.length === 0) return { ready: true };
    if (performance.now() > softDeadlineMs) {
      for (const pid of alive) signalQuietly(pid, 'SIGKILL');
    }
    return { seen: `alive: ${alive.join(', ')}` };
  });
  return leftovers;
}

/** PostgreSQL's processes outlive a postmaster that was killed, and carry no mark. */
function findPostgres(folder: string): number[] {
  return findInFolder('postgres', folder);
}
