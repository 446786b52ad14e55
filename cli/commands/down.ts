import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { stopAgent } from '../agent/launch.ts';
import { loadConfig } from '../config/load.ts';
import type { CommandSpec } from '../kernel/program.ts';
import { layoutOf, SOURCE_PASSWORD_FILE } from '../runtimes/embedded/layout.ts';
import { postgresOutsideFolder } from '../runtimes/embedded/servers/postgres.ts';

export const down: CommandSpec = {
  usage: 'down',
  summary: 'stop everything; data stay unless told',
  examples: ['cdc down', 'cdc down --delete-data'],
  options: [
    {
      flags: '--delete-data',
      description: 'delete the data of the servers that cdc ran, and its passwords',
    },
  ],
  async run(session, _args, options) {
    const { context, printer } = session;
    const { directory } = loadConfig({
      cwd: context.cwd,
      env: context.env,
      file: session.configFile,
    });
    const progress = printer.progress('stopping');
    const stopped = await stopAgent(directory);
    progress.done(stopped ? 'stopped' : 'nothing ran');
    const deleted = options.deleteData === true;
    if (deleted) {
      const { root } = layoutOf(directory);
      deleteData(root);
      rmSync(postgresOutsideFolder(root), { recursive: true, force: true });
    }
    const result = { result: stopped ? 'stopped' : 'unchanged', stopped, data_deleted: deleted };
    printer.result(result, () =>
      deleted ? 'Stopped; data deleted.' : stopped ? 'Stopped; data stay.' : 'Nothing ran.',
    );
    return undefined;
  },
};

/** Everything below `.cdc/` but a password that the user gave to `cdc init`. */
function deleteData(root: string): void {
  if (!existsSync(root)) return;
  const names = readdirSync(root);
  for (const name of names) {
    if (name !== SOURCE_PASSWORD_FILE) rmSync(join(root, name), { recursive: true, force: true });
  }
  if (!names.some((name) => name === SOURCE_PASSWORD_FILE)) rmdirSync(root);
}
