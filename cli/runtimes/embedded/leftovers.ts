import type { Logger } from 'pino';
import {
  findInFolder,
  findMarked,
  isAlive,
  isSameProcess,
  processStart,
  signalQuietly,
} from '../../lib/processes.ts';
import { waitFor } from '../../lib/wait.ts';
import type { Layout } from '../../stack/layout.ts';
import { stackMarker } from '../../stack/state.ts';
import { postgresFolders } from './servers/postgres.ts';

/** Ends what an agent that was killed left running, so that no two servers share a data folder. */
export async function endLeftovers(layout: Layout, log?: Logger): Promise<number[]> {
  const marker = `CDC_STACK=${stackMarker(layout)}`;
  const find = () => [
    ...new Set([...findMarked(marker), ...postgresFolders(layout).flatMap(findPostgres)]),
  ];
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
