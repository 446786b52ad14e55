import type Docker from 'dockerode';
import type { Harm } from '../runtime.ts';
import { containersOf } from './status.ts';

/** Does it to the container of a service, if there is one. */
export async function harmContainer(
  docker: Docker,
  project: string,
  service: string,
  how: Harm,
): Promise<void> {
  const found = (await containersOf(docker, project)).find((one) => one.service === service);
  if (!found) return;
  const container = docker.getContainer(found.id);
  if (how === 'freeze') return container.pause();
  if (how === 'thaw') return container.unpause();
  if (how === 'end') return container.restart();
  if (found.status === 'paused') await container.unpause();
  await container.kill({ signal: 'SIGKILL' });
  // An engine starts no container again that somebody killed through it.
  await container.start();
}
