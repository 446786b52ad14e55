import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { Problem } from '../../core/problems.ts';
import { fileProblem } from '../../lib/files.ts';
import { packageRoot } from '../../lib/packageRoot.ts';
import { runProgram } from '../../lib/run.ts';
import { findMaven } from './toolchain.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** Folders of jars, one for the class path of Kafka and Connect, one as Connect's plug-in. */
export interface Jars {
  readonly kafka: string;
  /** `plugin.path`: its sub-folder is the Debezium plug-in. */
  readonly plugins: string;
  /** The Java agent that shows a JVM's figures to Prometheus. */
  readonly jmxAgent: string;
}

function pomFile(): string {
  return join(packageRoot(), 'connectors', 'pom.xml');
}

/** Sends values as PostgreSQL's own text; it has to lie beside Debezium, in one class loader. */
function converterJar(): string {
  return join(packageRoot(), 'connectors', 'postgres-text', 'cdc-postgres-text.jar');
}

/** A folder per content of the pom and of the converter, shared by all stacks of this user. */
export function jarsFolder(env: Env): string {
  const cache =
    env.CDC_CACHE || join(env.XDG_CACHE_HOME || join(env.HOME || home(), '.cache'), 'cdc');
  const digest = createHash('sha256')
    .update(readFileSync(pomFile()))
    .update(readFileSync(converterJar()))
    .digest('hex')
    .slice(0, 12);
  return join(cache, `jars-${digest}`);
}

/** Throws HOME_UNKNOWN: of a user without a name, nothing is known. */
function home(): string {
  try {
    return homedir();
  } catch (error) {
    throw new Problem('HOME_UNKNOWN', { uid: process.getuid?.() ?? 0 }, { cause: error });
  }
}

function jarsAt(folder: string): Jars {
  return {
    kafka: join(folder, 'kafka'),
    plugins: join(folder, 'plugins'),
    jmxAgent: join(folder, 'jmx', `jmx_prometheus_javaagent-${jmxVersion()}.jar`),
  };
}

function jmxVersion(): string {
  return /<jmx\.version>([^<]+)</.exec(readFileSync(pomFile(), 'utf8'))?.[1] ?? '';
}

/** The jars if they are there; needs no network and no Maven. */
export function findJars(env: Env): Jars | undefined {
  const folder = jarsFolder(env);
  return existsSync(folder) ? jarsAt(folder) : undefined;
}

/** Version of Kafka among the jars; absent when they are not there. */
export function kafkaVersion(env: Env): string | undefined {
  const found = findJars(env);
  if (!found) return undefined;
  const jar = readdirSync(found.kafka).find((file) => /^kafka-server-\d.*\.jar$/.test(file));
  return jar?.slice('kafka-server-'.length, -'.jar'.length);
}

/**
 * Fetches the jars with Maven unless they are there. The folder appears under its final name only
 * when it is complete, so an interrupted fetch is simply done again.
 */
export async function ensureJars(
  env: Env,
  signal: AbortSignal,
  onProgress: (text: string) => void,
): Promise<Jars> {
  const found = findJars(env);
  if (found) return found;
  const maven = findMaven(env);
  const folder = jarsFolder(env);
  let work: string;
  try {
    mkdirSync(join(folder, '..'), { recursive: true });
    work = mkdtempSync(`${folder}.`);
    // Users may share a CDC_CACHE, and these are no secrets.
    chmodSync(work, 0o755);
  } catch (error) {
    throw fileProblem(folder, error);
  }
  try {
    const parts = [
      { profile: 'kafka', target: join(work, 'kafka') },
      { profile: 'debezium', target: join(work, 'plugins', 'debezium') },
      { profile: 'jmx', target: join(work, 'jmx') },
    ];
    for (const part of parts) {
      await runMaven(maven, part.profile, part.target, env, signal, onProgress);
    }
    copyFileSync(converterJar(), join(work, 'plugins', 'debezium', 'cdc-postgres-text.jar'));
    try {
      renameSync(work, folder);
    } catch (error) {
      // Another stack of this user was faster; its folder is as good.
      if (!existsSync(folder)) throw error;
    }
    return jarsAt(folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

const DETAIL_LENGTH = 1000;

/** Why Maven failed: its errors without advice about Maven itself, else what it said last. */
function mavenComplaint(output: readonly string[]): string | undefined {
  const errors = output
    .filter((line) => line.startsWith('[ERROR]'))
    .map((line) =>
      line
        .slice('[ERROR]'.length)
        .replace(/ -> \[Help 1\]$/, '')
        .trim(),
    )
    .filter(
      (line) => line !== '' && !/^(To see the full|Re-run Maven|For more info|\[Help)/.test(line),
    );
  const lines = errors.length > 0 ? [...new Set(errors)].slice(0, 3) : output.slice(-3);
  const said = lines.map((line) => line.slice(0, DETAIL_LENGTH));
  return said.length > 0 ? said.join('\n') : undefined;
}

/** By its whole name: to find what a short one stands for, Maven asks the network. */
const COPY_DEPENDENCIES =
  'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies';

async function runMaven(
  maven: string,
  profile: string,
  target: string,
  env: Env,
  signal: AbortSignal,
  onProgress: (text: string) => void,
): Promise<void> {
  let downloaded = 0;
  const args = [
    '-B',
    // Maven remembers for a day that a download failed, and would not try again.
    '-U',
    ...['-f', pomFile()],
    ...['-P', profile],
    COPY_DEPENDENCIES,
    '-DincludeScope=runtime',
    `-DoutputDirectory=${target}`,
  ];
  const onLine = (line: string) => {
    const match = /Downloaded from [^:]+: (\S+)/.exec(line);
    if (!match?.[1]) return;
    downloaded += 1;
    onProgress(
      `fetching jars with Maven (${profile}): ${downloaded} files, ${match[1].split('/').at(-1)}`,
    );
  };
  const { code, output } = await runProgram(maven, args, { env, signal, onLine });
  if (code !== 0 || !existsSync(target) || readdirSync(target).length === 0) {
    const detail =
      mavenComplaint(output.split('\n').filter((line) => line.trim() !== '')) ??
      `mvn ended with code ${code}`;
    if (/No space left/i.test(detail)) throw new Problem('DISK_FULL', { path: target, detail });
    throw new Problem('JARS_UNAVAILABLE', { detail });
  }
}
