import { createInterface } from 'node:readline';
import { PassThrough, type Readable } from 'node:stream';
import type Docker from 'dockerode';
import type { LogLine, OpenLogs } from '../runtime.ts';
import type { FoundContainer } from './status.ts';

/** The last lines of containers, and what they write from then on. */
export async function openContainerLogs(
  docker: Docker,
  containers: readonly FoundContainer[],
  count: number,
): Promise<OpenLogs> {
  const since = Math.floor(Date.now() / 1000);
  const lines: LogLine[] = [];
  for (const one of containers) {
    const texts = await tailOf(docker, one.id, count);
    lines.push(...texts.map((text) => ({ component: one.service, text })));
  }
  return {
    lines,
    follow: async (signal, onLine) => {
      await Promise.all(containers.map((one) => followOne(docker, one, since, signal, onLine)));
    },
  };
}

/** The last lines of a service of a project; none when it has no container. */
export async function containerTail(
  docker: Docker,
  project: string,
  service: string,
  count: number,
): Promise<string[]> {
  const found = await docker.listContainers({
    all: true,
    filters: {
      label: [`com.docker.compose.project=${project}`, `com.docker.compose.service=${service}`],
    },
  });
  return found[0] ? tailOf(docker, found[0].Id, count) : [];
}

async function tailOf(docker: Docker, id: string, count: number): Promise<string[]> {
  const text = await docker
    .getContainer(id)
    .logs({ stdout: true, stderr: true, follow: false, tail: count });
  return unframe(text)
    .replace(/\n$/, '')
    .split('\n')
    .filter((line) => line !== '');
}

/** Without a terminal the engine puts eight bytes before each piece: its stream and its length. */
export function unframe(data: Buffer): string {
  const parts: Buffer[] = [];
  let at = 0;
  while (at + 8 <= data.length) {
    const length = data.readUInt32BE(at + 4);
    parts.push(data.subarray(at + 8, at + 8 + length));
    at += 8 + length;
  }
  return Buffer.concat(parts).toString('utf8');
}

async function followOne(
  docker: Docker,
  one: FoundContainer,
  since: number,
  signal: AbortSignal,
  onLine: (line: LogLine) => void,
): Promise<void> {
  const stream = await docker
    .getContainer(one.id)
    .logs({ stdout: true, stderr: true, follow: true, since, tail: 0 });
  const text = new PassThrough();
  docker.modem.demuxStream(stream, text, text);
  createInterface({ input: text }).on('line', (line) =>
    onLine({ component: one.service, text: line }),
  );
  const end = () => (stream as Readable).destroy();
  signal.addEventListener('abort', end, { once: true });
  if (signal.aborted) end();
  await new Promise<void>((resolve) => stream.once('close', () => resolve()));
}
