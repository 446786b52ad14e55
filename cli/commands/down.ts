import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig } from '../config/load.ts';
import type { CommandSpec } from '../kernel/program.ts';
import { currentRuntime } from '../runtimes/registry.ts';
import { layoutOf, SOURCE_PASSWORD_FILE } from '../stack/layout.ts';

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
    const loaded = loadConfig({
      cwd: context.cwd,
      env: context.env,
      file: session.configFile,
    });
    const progress = printer.progress('stopping');
    const deleted = options.deleteData === true;
    const stopped = await currentRuntime(loaded, context.env)
      .stop(deleted)
      .catch((error: unknown) => {
        progress.fail('not stopped');
        throw error;
      });
    progress.done(stopped ? 'stopped' : 'nothing ran');
    if (deleted) deleteData(layoutOf(loaded.directory).root);
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
