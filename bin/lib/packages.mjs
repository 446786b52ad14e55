import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { hashOf, MODULES, ROOT, read, readJson } from './files.mjs';
import { EXIT, Stop, say } from './problem.mjs';
import { run } from './run.mjs';

const PACKAGES_STAMP = join(MODULES, '.cdc-stamp');

/** Scripts in package.json change often and install nothing. */
function packagesHash() {
  const own = readJson(join(ROOT, 'package.json'));
  return hashOf([
    read(join(ROOT, 'package-lock.json')),
    JSON.stringify(SECTIONS.map((s) => own[s])),
  ]);
}

const SECTIONS = ['dependencies', 'optionalDependencies', 'devDependencies'];

function lockedPackages() {
  return readJson(join(ROOT, 'package-lock.json')).packages ?? {};
}

function lockIsInSync() {
  const locked = lockedPackages()[''] ?? {};
  const own = readJson(join(ROOT, 'package.json'));
  return SECTIONS.every((s) => JSON.stringify(locked[s] ?? {}) === JSON.stringify(own[s] ?? {}));
}

/** Whether what somebody installed by hand is what the lock file says; optional packages may be left out. */
function installedByHand({ withoutOptional = false } = {}) {
  if (!lockIsInSync()) return false;
  const wanted = lockedPackages();
  const present = readJson(join(MODULES, '.package-lock.json')).packages ?? {};
  /** @type {(list: readonly (string | undefined)[] | undefined, value: string | undefined) => boolean} */
  const here = (list, value) => !list || list.includes(value);
  const report = /** @type {any} */ (process.report.getReport());
  const isMusl = report.header?.glibcVersionRuntime === undefined;
  const libc = process.platform !== 'linux' ? undefined : isMusl ? 'musl' : 'glibc';
  return Object.entries(wanted).every(
    ([path, entry]) =>
      path === '' ||
      !here(entry.os, process.platform) ||
      !here(entry.cpu, process.arch) ||
      !here(entry.libc, libc) ||
      present[path]?.version === entry.version ||
      ((withoutOptional || entry.peer) && entry.optional && !present[path]),
  );
}

export async function ensurePackages({ withoutOptional = false } = {}) {
  const hash = packagesHash();
  if (read(PACKAGES_STAMP) === hash) return;
  // Not stamped: npm start needs the rest.
  if (withoutOptional && installedByHand({ withoutOptional })) return;
  if (installedByHand()) {
    writeFileSync(PACKAGES_STAMP, hash);
    return;
  }
  say('installing npm packages…');
  rmSync(PACKAGES_STAMP, { force: true });
  let done = await npm('ci');
  // A lock file that was made where the registry lacks the builds for other platforms fails there
  // although it says everything that is needed here.
  if (/EUSAGE/.test(done.output) && lockIsInSync()) done = await npm('install', '--no-save');
  if (done.code !== 0) throw npmProblem(done);
  writeFileSync(PACKAGES_STAMP, hash);
}

/** @param {readonly string[]} verb */
export function npm(...verb) {
  const args = [
    ...verb,
    '--no-audit',
    '--no-fund',
    '--prefer-offline',
    '--loglevel=error',
    '--fetch-retries=1',
    '--fetch-retry-mintimeout=200',
  ];
  const cli = process.env.npm_execpath;
  const usable = cli !== undefined && /npm-cli\.c?js$/.test(cli) && existsSync(cli);
  return (usable ? run(process.execPath, [cli, ...args]) : run('npm', args)).catch((error) => {
    throw new Stop(
      EXIT.configuration,
      'npm cannot be run.',
      error.message,
      'Install npm; it comes with Node.js: https://nodejs.org',
    );
  });
}

/** @param {import('./run.mjs').Ran} done */
export function npmProblem({ code, output }) {
  const lines = output
    .split('\n')
    .map((line) => line.replace(/^npm (error|ERR!) ?/, '').trim())
    .filter((line) => line !== '' && !/complete log of this run|_logs\//.test(line));
  const cause = lines.slice(0, 4).join('\n') || `npm ci ended with code ${code}`;
  if (/ENOSPC|EDQUOT/.test(output)) {
    return new Stop(
      EXIT.configuration,
      'There is no room left for the npm packages (about 1 GB).',
      cause,
      `df -h ${ROOT}   # make room, then run the same command again`,
    );
  }
  if (/EACCES|EPERM|EROFS/.test(output)) {
    return new Stop(
      EXIT.configuration,
      'The npm packages cannot be written.',
      cause,
      `ls -ld ${ROOT} ~/.npm   # give this user the right to write there`,
    );
  }
  if (/EUSAGE/.test(output)) {
    return new Stop(
      EXIT.configuration,
      'package.json and package-lock.json do not match.',
      cause,
      'npm install',
    );
  }
  return new Stop(
    EXIT.unreachable,
    'The npm packages could not be fetched.',
    cause,
    'npm ping   # is the registry reachable (npm config get registry)? then run the same command again',
  );
}
