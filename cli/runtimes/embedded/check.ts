import { existsSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Finding, findingOf } from '../../core/findings.ts';
import { Problem } from '../../core/problems.ts';
import { freeBytes } from '../../lib/files.ts';
import { formatBytes } from '../../lib/format.ts';
import type { ServerName } from '../../stack/endpoints.ts';
import { findJars } from './jars.ts';
import { libchdb, postgresHome } from './packages.ts';
import { requireName } from './servers/postgres.ts';
import { findJava, findMaven } from './toolchain.ts';

type Env = Readonly<Record<string, string | undefined>>;

const DISK_WARNING_BYTES = 2 * 1024 ** 3;
/** Servers do not start with less than this. */
const DISK_START_BYTES = 512 * 1024 ** 2;
/** With less than this, servers that run end at the next file that they make larger. */
const DISK_RUN_BYTES = 64 * 1024 ** 2;

/** Throws DISK_FULL where the servers have no room to start, or to go on. */
export function requireRoom(folder: string, running: boolean): void {
  const free = freeBytes(folder);
  const least = running ? DISK_RUN_BYTES : DISK_START_BYTES;
  if (free >= least) return;
  throw new Problem('DISK_FULL', {
    path: folder,
    detail: `${formatBytes(free)} are free; the servers need at least ${formatBytes(least)}.`,
  });
}

/** What ClickHouse holds open with a hundred tables, and as much again. */
const OPEN_FILES = 1024;

/** Throws OPEN_FILES_LIMIT. Node.js has raised the soft limit, which servers inherit, to the hard one. */
export function requireOpenFiles(): void {
  const limit = openFilesLimit();
  if (limit < OPEN_FILES) throw new Problem('OPEN_FILES_LIMIT', { limit, least: OPEN_FILES });
}

function openFilesLimit(): number {
  try {
    const limits = readFileSync('/proc/self/limits', 'utf8');
    const [, hard = ''] = /^Max open files +\S+ +(\S+)/m.exec(limits) ?? [];
    return hard === 'unlimited' ? Number.POSITIVE_INFINITY : Number(hard);
  } catch {
    // No Linux, no limit that can be read.
    return Number.POSITIVE_INFINITY;
  }
}

/** What this machine lacks to run the servers that it should run. Changes nothing and asks no network. */
export function checkMachine(
  env: Env,
  directory: string,
  servers: readonly ServerName[],
): Finding[] {
  const needsJava = servers.includes('kafka') || servers.includes('connect');
  return [
    ...(needsJava
      ? [...attempt('java', () => findJava(env)), ...attempt('jars', () => checkJars(env))]
      : []),
    ...(servers.includes('postgres')
      ? [...attempt('postgres', postgresHome), ...attempt('postgres', () => requireName(env))]
      : []),
    ...(servers.includes('clickhouse') ? attempt('clickhouse', libchdb) : []),
    ...(servers.length > 0
      ? [...attempt('files', requireOpenFiles), ...diskFindings(directory)]
      : []),
  ];
}

/** The findings that a check returns, or its exception as one. */
function attempt(subject: string, check: () => unknown): Finding[] {
  try {
    const found = check();
    return Array.isArray(found) ? (found as Finding[]) : [];
  } catch (error) {
    return [findingOf(subject, error)];
  }
}

/** Jars that are not there yet are fetched by `cdc up`, if Maven is. */
function checkJars(env: Env): Finding[] {
  if (findJars(env)) return [];
  const noMaven = attempt('maven', () => findMaven(env));
  if (noMaven.length > 0) return noMaven;
  return [
    {
      id: 'jars-not-fetched',
      severity: 'info',
      subject: 'jars',
      message: 'the Kafka and Debezium jars are not on this machine yet; cdc up fetches them once',
      fix: 'cdc up',
    },
  ];
}

/** Whether the servers' disk has room for them to go on. */
export function diskFindings(directory: string): Finding[] {
  return attempt('disk', () => checkDisk(directory));
}

function checkDisk(directory: string): Finding[] {
  let folder = directory;
  while (!existsSync(folder)) folder = dirname(folder);
  const free = freeBytes(folder);
  if (free >= DISK_WARNING_BYTES) return [];
  requireRoom(folder, false);
  return [
    {
      id: 'disk-space',
      severity: 'warning',
      subject: folder,
      message: `only ${formatBytes(free)} are free on this disk; servers stop when it is full`,
      fix: `df -h ${folder}   # make room`,
    },
  ];
}
