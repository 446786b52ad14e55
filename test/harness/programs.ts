import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** Runs a program of Debian's Prometheus packages; one that is missing is a failure that says so. */
export async function runProgram(
  program: 'promtool' | 'amtool',
  ...args: string[]
): Promise<{ ok: boolean; output: string }> {
  try {
    const { stdout, stderr } = await execute(program, args, { timeout: 60_000 });
    return { ok: true, output: stdout + stderr };
  } catch (error) {
    const failed = error as Error & { code?: unknown; stdout?: string; stderr?: string };
    if (failed.code === 'ENOENT') {
      throw new Error(
        `${program} is not installed: apt-get install -y --no-install-recommends prometheus prometheus-alertmanager`,
      );
    }
    return { ok: false, output: `${failed.stdout ?? ''}${failed.stderr ?? ''}${failed.message}` };
  }
}
