import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { packageRoot } from '../../cli/lib/packageRoot.ts';

/** Files of code below a folder of the project, relative to its root, sorted. */
export function sourceFiles(folder: string): string[] {
  const root = packageRoot();
  return readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && /\.m?[jt]s$/.test(entry.name))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .sort();
}
