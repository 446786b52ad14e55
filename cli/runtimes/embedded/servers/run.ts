import { Problem } from '../../../core/problems.ts';
import { runProgram } from '../../../lib/run.ts';
import type { ProcessName } from '../../../stack/state.ts';
import type { Launch, ServerSetting } from './server.ts';

/** Runs a preparing command (initdb, storage format) to its end; its output is the error's detail. */
export async function runToEnd(
  server: ProcessName,
  launch: Launch,
  setting: ServerSetting,
  signal: AbortSignal,
): Promise<void> {
  const { code, output } = await runProgram(launch.command, launch.args, {
    cwd: launch.uid === undefined ? setting.layout.root : '/',
    env: { ...setting.env, ...launch.env },
    uid: launch.uid,
    gid: launch.gid,
    signal,
  });
  launch.ended?.(`exit code ${code}`);
  if (code === 0) return;
  if (/No space left on device/i.test(output)) {
    throw new Problem('DISK_FULL', { path: setting.layout.root, detail: output.trim() });
  }
  throw new Problem('SERVER_START_FAILED', {
    server,
    detail: output.trim() || `exit code ${code}`,
  });
}
