import type { ChildProcess } from 'node:child_process';
import { isSameProcess, processStart, signalQuietly } from '../../lib/processes.ts';
import { pause } from '../../lib/wait.ts';

const STOP_TIMEOUT_MS = 15_000;
const LOOK_MS = 100;

/** A server's process: a child, or one that an agent of before has started. */
export interface ServerProcess {
  readonly pid: number | undefined;
  /** Resolves with how it ended. */
  readonly exited: Promise<string>;
  /** How it ended; undefined while it runs. */
  readonly ended: string | undefined;
  kill(signal: NodeJS.Signals): void;
}

export function childProcess(child: ChildProcess): ServerProcess {
  let ended: string | undefined;
  const exited = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signalName) =>
      resolve(signalName ? `signal ${signalName}` : `exit code ${code}`),
    );
  }).then((how) => {
    ended = how;
    return how;
  });
  return {
    pid: child.pid,
    exited,
    get ended() {
      return ended;
    },
    kill: (signal) => child.kill(signal),
  };
}

/** Only a parent is told of an end; others look. */
export function adoptedProcess(pid: number): ServerProcess {
  const start = processStart(pid);
  let ended: string | undefined;
  const watch = async (): Promise<string> => {
    while (isSameProcess(pid, start)) await pause(LOOK_MS);
    ended = 'nobody was told how';
    return ended;
  };
  const exited = watch();
  return {
    pid,
    exited,
    get ended() {
      return ended;
    },
    kill: (signal) => signalQuietly(pid, signal),
  };
}

/** Asks, and after a while forces. */
export async function endProcess(running: ServerProcess, signal: NodeJS.Signals): Promise<void> {
  if (running.ended !== undefined || running.pid === undefined) return;
  running.kill(signal);
  const timer = setTimeout(() => running.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await running.exited;
  clearTimeout(timer);
}
