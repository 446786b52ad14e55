import { spawn } from 'node:child_process';
import { Problem } from '../../../core/problems.ts';
import type { Launch, ProcessName, ServerSetting } from './server.ts';

/** Runs a preparing command (initdb, storage format) to its end; its output is the error's detail. */
export async function runToEnd(
  server: ProcessName,
  launch: Launch,
  setting: ServerSetting,
  signal: AbortSignal,
): Promise<void> {
  const child = spawn(launch.command, launch.args, {
    cwd: launch.uid === undefined ? setting.layout.root : '/',
    env: { ...(setting.env as NodeJS.ProcessEnv), ...launch.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
    ...(launch.uid === undefined ? {} : { uid: launch.uid }),
    ...(launch.gid === undefined ? {} : { gid: launch.gid }),
  });
  let output = '';
  const keep = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-4000);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code === 0) return;
  if (/No space left on device/i.test(output)) {
    throw new Problem('DISK_FULL', { path: setting.layout.root, detail: output.trim() });
  }
  throw new Problem('SERVER_START_FAILED', {
    server,
    detail: output.trim() || `exit code ${code}`,
  });
}
