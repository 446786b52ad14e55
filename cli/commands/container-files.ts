import { copyFileSync, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig } from '../config/load.ts';
import type { CommandSpec } from '../kernel/program.ts';
import { packageRoot } from '../lib/packageRoot.ts';
import { removeContainerFiles, writeContainerFiles } from '../runtimes/compose/write.ts';

/** Where docker-compose.yml mounts what JVMs load beside their own classes. */
const JAVA_AGENTS = '/java-agents';

/** Hidden: what the service `secrets` of docker-compose.yml runs before all others start. */
export const containerFilesCommand: CommandSpec = {
  usage: 'container-files',
  summary: 'make the passwords and files that the containers read (the service secrets does it)',
  examples: ['cdc container-files'],
  hidden: true,
  options: [{ flags: '--remove', description: 'delete what the containers read' }],
  async run(session, _args, options) {
    const { context, printer } = session;
    const loaded = loadConfig({ cwd: context.cwd, env: context.env, file: session.configFile });
    if (options.remove === true) {
      removeContainerFiles(loaded.directory);
      printer.result({ result: 'removed' }, () => 'removed');
      return undefined;
    }
    const written = await writeContainerFiles(loaded, context.env, context.now());
    const jars = join(packageRoot(), 'java-agents');
    if (existsSync(jars) && existsSync(JAVA_AGENTS)) {
      for (const name of readdirSync(jars)) copyFileSync(join(jars, name), join(JAVA_AGENTS, name));
    }
    const result = { result: written > 0 ? 'written' : 'unchanged', files: written };
    printer.result(result, () => `${result.result}: ${written} files`);
    return undefined;
  },
};
