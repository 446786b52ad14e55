#!/usr/bin/env node
import { COMMANDS } from './commands/registry.ts';
import type { Context } from './kernel/context.ts';
import { runCli } from './kernel/program.ts';
import { packageVersion } from './lib/packageRoot.ts';

/** As shells report a program that SIGPIPE ended. */
const SIGPIPE_EXIT = 141;

/** Process in, exit code out. */
const abort = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => {
    // A second signal means "now".
    if (abort.signal.aborted) process.exit(130);
    abort.abort(new Error(`signal ${name}`));
  });
}
// `cdc logs | head` closes the pipe: what is printed then has no reader, so this ends as any program does there.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(SIGPIPE_EXIT);
    throw error;
  });
}

const env = { ...process.env };
// The PostgreSQL driver reads them behind everything that cdc.yaml says; what cdc itself takes of them is in `env`.
for (const name of Object.keys(process.env)) if (name.startsWith('PG')) delete process.env[name];

const context: Context = {
  env,
  cwd: process.cwd(),
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  signal: abort.signal,
  now: () => new Date(),
  monotonicMs: () => performance.now(),
};

const exit = await runCli(process.argv.slice(2), context, COMMANDS, packageVersion());
// Clients may keep sockets open for reuse; the work is done and the output must be whole.
process.stdout.write('', (lost) =>
  process.stderr.write('', (lostToo) => process.exit((lost ?? lostToo) ? SIGPIPE_EXIT : exit)),
);
