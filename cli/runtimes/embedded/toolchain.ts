import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Problem } from '../../core/problems.ts';

type Env = Readonly<Record<string, string | undefined>>;

const JAVA_MINIMUM = 17;

/** The `java` to run: JAVA_HOME's, else the PATH's. Throws JAVA_MISSING with the cure. */
export function findJava(env: Env): string {
  const candidates = [...(env.JAVA_HOME ? [join(env.JAVA_HOME, 'bin', 'java')] : []), 'java'];
  let seen = 'There is no java on the PATH and JAVA_HOME is not set.';
  for (const command of candidates) {
    const run = spawnSync(command, ['-version'], {
      encoding: 'utf8',
      env: { ...env } as NodeJS.ProcessEnv,
    });
    if (run.error) continue;
    const version = javaMajor(run.stderr);
    if (version !== undefined && version >= JAVA_MINIMUM) return command;
    seen = `${command} is version ${version ?? 'unknown'}.`;
  }
  throw new Problem('JAVA_MISSING', { detail: seen, install: installCommand(env, ['java']) });
}

/** `17` from `openjdk version "17.0.15"`, `8` from `1.8.0_392`. */
export function javaMajor(text: string): number | undefined {
  const match = /version "(\d+)(?:\.(\d+))?/.exec(text);
  if (!match) return undefined;
  const major = Number(match[1]);
  return major === 1 ? Number(match[2]) : major;
}

export function findMaven(env: Env): string {
  const run = spawnSync('mvn', ['-v'], { encoding: 'utf8', env: { ...env } as NodeJS.ProcessEnv });
  if (run.error) throw new Problem('MAVEN_MISSING', { install: installCommand(env, ['maven']) });
  return 'mvn';
}

type Tool = 'java' | 'maven';

const PACKAGES: readonly { probe: string; command: (tools: readonly Tool[]) => string }[] = [
  {
    probe: 'apt-get',
    command: (t) =>
      `apt-get update && apt-get install -y ${names(t, 'openjdk-17-jre-headless', 'maven')}`,
  },
  {
    probe: 'dnf',
    command: (t) => `dnf install -y ${names(t, 'java-17-openjdk-headless', 'maven')}`,
  },
  { probe: 'apk', command: (t) => `apk add ${names(t, 'openjdk17-jre-headless', 'maven')}` },
  {
    probe: 'pacman',
    command: (t) => `pacman -S --noconfirm ${names(t, 'jre17-openjdk-headless', 'maven')}`,
  },
  { probe: 'brew', command: (t) => `brew install ${names(t, 'openjdk@17', 'maven')}` },
];

function names(tools: readonly Tool[], java: string, maven: string): string {
  return tools.map((tool) => (tool === 'java' ? java : maven)).join(' ');
}

/** The exact command that installs tools on this system. */
export function installCommand(env: Env, tools: readonly Tool[]): string {
  const path = (env.PATH ?? '').split(':');
  const manager = PACKAGES.find((p) => path.some((folder) => existsSync(join(folder, p.probe))));
  if (!manager) return `Install ${tools.join(' and ')} with your system's package manager.`;
  const command = manager.command(tools);
  const needsSudo = manager.probe !== 'brew' && process.getuid?.() !== 0;
  return needsSudo
    ? command
        .split(' && ')
        .map((c) => `sudo ${c}`)
        .join(' && ')
    : command;
}

/**
 * Installs what is missing where that needs nobody's consent: as root with apt. Elsewhere it
 * leaves the exact command in the problem that the caller throws next.
 */
export function installMissingTools(env: Env, say: (line: string) => void): void {
  const missing: Tool[] = [];
  if (!works(() => findJava(env))) missing.push('java');
  if (!works(() => findMaven(env))) missing.push('maven');
  if (missing.length === 0) return;
  const command = installCommand(env, missing);
  if (process.getuid?.() !== 0 || !command.startsWith('apt-get')) return;
  say(`installing ${missing.join(' and ')}: ${command}`);
  execFileSync('sh', ['-c', command], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...env, DEBIAN_FRONTEND: 'noninteractive' } as NodeJS.ProcessEnv,
  });
}

function works(probe: () => unknown): boolean {
  try {
    probe();
    return true;
  } catch {
    return false;
  }
}
