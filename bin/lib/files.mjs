import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
export const DIST = join(ROOT, 'dist');
export const MODULES = join(ROOT, 'node_modules');

/**
 * Text of a file; undefined where there is none.
 * @param {string} path
 */
export function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/**
 * Of JSON; an empty object where there is no file.
 * @param {string} path
 * @returns {any}
 */
export function readJson(path) {
  return JSON.parse(read(path) ?? '{}');
}

/** @param {readonly (string | undefined)[]} texts */
export function hashOf(texts) {
  const hash = createHash('sha256');
  for (const text of texts) hash.update(text ?? '').update('\0');
  return hash.digest('hex');
}

/**
 * Every file below a folder.
 * @param {string} folder
 */
export function filesIn(folder) {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}
