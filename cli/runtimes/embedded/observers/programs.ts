import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Problem } from '../../../core/problems.ts';
import type { ObserverName } from '../../../stack/state.ts';
import { OBSERVER_NAMES } from '../../../stack/state.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** What the programs are called: by Debian first, then by those who make them. */
const PROGRAMS: Readonly<Record<ObserverName, readonly string[]>> = {
  prometheus: ['prometheus'],
  alertmanager: ['prometheus-alertmanager', 'alertmanager'],
  node_exporter: ['prometheus-node-exporter', 'node_exporter'],
  postgres_exporter: ['prometheus-postgres-exporter', 'postgres_exporter'],
};

/** Debian's packages of them; `promtool` is in the first. */
const OBSERVER_PACKAGES = [
  'prometheus',
  'prometheus-alertmanager',
  'prometheus-node-exporter',
  'prometheus-postgres-exporter',
] as const;

const POOLER = 'pgbouncer';

/**
 * The programs to run beside the servers, by the setting `observability`; `missing` are those that were
 * asked for and are not installed. JVMs are observed only then: their Java agent costs half a second of
 * start-up and 20 MiB each.
 */
export function observersToRun(
  wanted: 'auto' | 'on' | 'off',
  env: Env,
): { programs: Partial<Record<ObserverName, string>>; missing: ObserverName[] } {
  if (wanted === 'off') return { programs: {}, missing: [] };
  const found = OBSERVER_NAMES.map((name) => [name, observerProgram(name, env)] as const);
  const programs = Object.fromEntries(found.filter(([, program]) => program !== undefined));
  if (wanted === 'auto' && programs.prometheus === undefined) return { programs: {}, missing: [] };
  const missing = found.filter(([, program]) => program === undefined).map(([name]) => name);
  return { programs, missing: wanted === 'on' ? missing : [] };
}

/** What apt-get needs to install them, and PgBouncer; a machine’s own services are not to start by that. */
export function installObservers(env: Env, say: (line: string) => void): void {
  const missing = missingForTests(env);
  if (missing.length === 0) return;
  const command = `${installCommandOf()} ${POOLER}`;
  const isRoot = process.getuid?.() === 0;
  const hasApt = (env.PATH ?? '').split(':').some((f) => existsSync(join(f, 'apt-get')));
  if (isRoot && hasApt) {
    say(`installing ${missing.join(', ')}: ${command}`);
    execFileSync('sh', ['-c', command], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' } as NodeJS.ProcessEnv,
    });
  }
  const still = missingForTests(env);
  if (still.length > 0) {
    throw new Problem('OBSERVERS_MISSING', {
      detail: still.join(', '),
      install: isRoot || !hasApt ? command : command.replaceAll('apt-get', 'sudo apt-get'),
    });
  }
}

function missingForTests(env: Env): string[] {
  const { missing } = observersToRun('on', env);
  return [...missing, ...(programOf([POOLER], env) ? [] : [POOLER])];
}

export function installCommandOf(): string {
  return `apt-get update && apt-get install -y --no-install-recommends ${OBSERVER_PACKAGES.join(' ')}`;
}

function observerProgram(name: ObserverName, env: Env): string | undefined {
  return programOf(PROGRAMS[name], env);
}

/** Path of a program; absent when it is not installed. Debian has PgBouncer where only root's PATH leads. */
function programOf(names: readonly string[], env: Env): string | undefined {
  const folders = [...(env.PATH ?? '').split(':').filter((folder) => folder !== ''), '/usr/sbin'];
  return names
    .flatMap((program) => folders.map((folder) => join(folder, program)))
    .find((path) => existsSync(path));
}
