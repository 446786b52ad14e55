import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setPassword } from '../components/postgres/password.ts';
import { loadConfig } from '../config/load.ts';
import { connectorSecrets } from '../core/connector.ts';
import { withEarlierNames } from '../core/connectSecrets.ts';
import { Problem } from '../core/problems.ts';
import type { CommandSpec } from '../kernel/program.ts';
import { writeFileAtomic } from '../lib/files.ts';
import { nearest } from '../lib/nearest.ts';
import { propertiesText } from '../lib/properties.ts';
import { attach } from '../pipeline/state/stack.ts';
import { currentRuntime } from '../runtimes/registry.ts';
import type { PostgresEndpoint } from '../stack/endpoints.ts';
import {
  CONNECT_SECRETS,
  nextSecrets,
  PASSWORD_NAMES,
  type PasswordName,
  readSecrets,
  takeNextSecrets,
} from '../stack/layout.ts';
import { explainLeftOut } from './left-out.ts';
import { bringUp } from './up.ts';

export const secrets: CommandSpec = {
  usage: 'secrets',
  summary: 'the passwords that cdc made for the servers that it runs',
  examples: ['cdc secrets rotate'],
  commands: [
    {
      usage: 'rotate [name...]',
      summary: 'make new passwords (all, or those named) and start the servers again with them',
      examples: ['cdc secrets rotate', 'cdc secrets rotate postgres clickhouseReader'],
      async run(session, args) {
        const { context, printer } = session;
        const names = asked((args[0] ?? []) as string[]);
        const file = session.configFile;
        const loaded = loadConfig({ cwd: context.cwd, env: context.env, file });
        const { layout, endpoints } = attach(context, { file, mayLackAgent: true });
        const progress = printer.progress('making new passwords');
        // Where this ends early, the next run goes on with what this one has made.
        const next = nextSecrets(layout, names);
        if (endpoints.postgres.managed && next.postgres !== readSecrets(layout)?.postgres)
          await setPassword(endpoints.postgres, next.postgres);
        takeNextSecrets(layout);
        progress.update('stopping the servers');
        await currentRuntime(loaded, context.env).stop(false);
        if (endpoints.connect.secretsFile === CONNECT_SECRETS)
          keepReading(join(layout.root, CONNECT_SECRETS), endpoints.postgres, next.postgres);
        progress.done('new passwords are set');
        const { result, applied } = await bringUp(session, {});
        const rotated = { result: 'rotated', secrets: names, heartbeat_ms: result.heartbeat_ms };
        printer.result(rotated, () => `Rotated: ${names.join(', ')}. Clients need: cdc env`);
        return explainLeftOut(printer, applied);
      },
    },
  ],
};

/** The connector starts with the configuration that it has, before it gets the one that names the new password. */
function keepReading(path: string, source: PostgresEndpoint, password: string): void {
  if (!source.managed || !existsSync(path)) return;
  const place = { file: CONNECT_SECRETS, key: password };
  const { entries } = connectorSecrets({ ...source, password }, place);
  const text = propertiesText(withEarlierNames(readFileSync(path, 'utf8'), entries));
  writeFileAtomic(path, text, 0o600);
}

function asked(words: readonly string[]): readonly PasswordName[] {
  for (const name of words) {
    if (PASSWORD_NAMES.some((known) => known === name)) continue;
    const near = nearest(name, PASSWORD_NAMES);
    throw new Problem('NAME_UNKNOWN', {
      kind: 'secret',
      name,
      known: PASSWORD_NAMES.join(', '),
      suggestion: `cdc secrets rotate ${near ?? ''}`.trim(),
    });
  }
  return words.length === 0 ? PASSWORD_NAMES : (words as readonly PasswordName[]);
}
