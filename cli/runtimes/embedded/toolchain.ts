import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Problem } from '../../core/problems.ts';
import type { ServerName } from '../../stack/endpoints.ts';

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

/** A JDK compiles, too: tests need it, nothing that cdc runs does. */
export type Tool = 'java' | 'jdk' | 'maven';

interface PackageManager {
  readonly probe: string;
  readonly install: string;
  readonly names: Readonly<Record<Tool, string>>;
}

const PACKAGES: readonly PackageManager[] = [
  {
    probe: 'apt-get',
    install: 'apt-get update && apt-get install -y',
    names: { java: 'openjdk-17-jre-headless', jdk: 'default-jdk-headless', maven: 'maven' },
  },
  {
    probe: 'dnf',
    install: 'dnf install -y',
    names: { java: 'java-17-openjdk-headless', jdk: 'java-17-openjdk-devel', maven: 'maven' },
  },
  {
    probe: 'apk',
    install: 'apk add',
    names: { java: 'openjdk17-jre-headless', jdk: 'openjdk17-jdk', maven: 'maven' },
  },
  {
    probe: 'pacman',
    install: 'pacman -S --noconfirm',
    names: { java: 'jre17-openjdk-headless', jdk: 'jdk17-openjdk', maven: 'maven' },
  },
  {
    probe: 'brew',
    install: 'brew install',
    names: { java: 'openjdk@17', jdk: 'openjdk@17', maven: 'maven' },
  },
];

/** The exact command that installs tools on this system. */
export function installCommand(env: Env, tools: readonly Tool[]): string {
  const path = (env.PATH ?? '').split(':');
  const manager = PACKAGES.find((p) => path.some((folder) => existsSync(join(folder, p.probe))));
  if (!manager) return `Install ${tools.join(' and ')} with your system's package manager.`;
  const command = [manager.install, ...tools.map((tool) => manager.names[tool])].join(' ');
  const needsSudo = manager.probe !== 'brew' && process.getuid?.() !== 0;
  return needsSudo
    ? command
        .split(' && ')
        .map((c) => `sudo ${c}`)
        .join(' && ')
    : command;
}

/** Whether there is a `javac` that is new enough; a JRE has none. */
function hasJdk(env: Env): boolean {
  const commands = [...(env.JAVA_HOME ? [join(env.JAVA_HOME, 'bin', 'javac')] : []), 'javac'];
  return commands.some((command) => {
    const run = spawnSync(command, ['-version'], {
      encoding: 'utf8',
      env: { ...env } as NodeJS.ProcessEnv,
    });
    return Number(/^javac (\d+)/m.exec(`${run.stdout}${run.stderr}`)?.[1]) >= JAVA_MINIMUM;
  });
}

const IS_THERE: Readonly<Record<Tool, (env: Env) => boolean>> = {
  java: (env) => works(() => findJava(env)),
  jdk: hasJdk,
  maven: (env) => works(() => findMaven(env)),
};

/**
 * Installs what is missing where that needs nobody's consent: as root with apt. Elsewhere it
 * leaves the exact command in the problem that the caller throws next.
 */
export function installMissingTools(
  env: Env,
  say: (line: string) => void,
  tools: readonly Tool[],
): void {
  const missing = tools.filter((tool) => !IS_THERE[tool](env));
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

export function needsJava(servers: readonly ServerName[]): boolean {
  return servers.includes('kafka') || servers.includes('connect');
}
