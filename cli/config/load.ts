import { readFileSync } from 'node:fs';
import { isAbsolute, join, relative, resolve } from 'node:path';
import { parseDocument } from 'yaml';
import type { z } from 'zod';
import { Problem, plural } from '../core/problems.ts';
import { nearest } from '../lib/nearest.ts';
import { keysAt, type LeafPath, leafPaths } from './describe.ts';
import { type Config, configSchema } from './schema.ts';

export const CONFIG_FILE = 'cdc.yaml';

export interface LoadedConfig {
  readonly config: Config;
  /** Folder of cdc.yaml; `.cdc/` lies in it. */
  readonly directory: string;
  /** Absent when there is no file: everything has a default. */
  readonly file: string | undefined;
}

interface LoadOptions {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** From `--config`; must exist then. */
  readonly file?: string | undefined;
  /** Values given as flags; they win. Keys are dotted paths. */
  readonly flags?: Readonly<Record<string, unknown>>;
}

/** file < environment < flag. All problems are reported together. */
export function loadConfig(options: LoadOptions): LoadedConfig {
  const explicit = options.file ?? options.env.CDC_CONFIG;
  const path = resolve(options.cwd, explicit ?? CONFIG_FILE);
  const shown = relative(options.cwd, path) || path;
  const text = readIfThere(path, explicit !== undefined, shown);
  const issues: string[] = [];
  const raw = text === undefined ? {} : parseYaml(text, issues);
  applyEnvironment(raw, options.env);
  for (const [key, value] of Object.entries(options.flags ?? {})) {
    if (value !== undefined) setPath(raw, key, value);
  }
  const parsed = configSchema.safeParse(raw);
  if (!parsed.success) issues.push(...parsed.error.issues.flatMap(describeIssue));
  if (issues.length > 0 || !parsed.success) {
    throw new Problem('CONFIG_INVALID', {
      file: text === undefined ? 'The environment' : shown,
      count: plural(issues.length, 'problem'),
      detail: issues.join('\n'),
    });
  }
  return {
    config: parsed.data,
    directory: resolve(path, '..'),
    file: text === undefined ? undefined : path,
  };
}

function readIfThere(path: string, required: boolean, shown: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (!required && (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new Problem('CONFIG_INVALID', {
      file: shown,
      count: '1 problem',
      detail: `it cannot be read: ${(error as Error).message}`,
    });
  }
}

function parseYaml(text: string, issues: string[]): Record<string, unknown> {
  const document = parseDocument(text);
  if (document.errors.length > 0) {
    issues.push(...document.errors.map((e) => e.message.split('\n')[0] ?? 'not YAML'));
    return {};
  }
  let value: unknown;
  try {
    value = document.toJS();
  } catch (error) {
    // Aliases are followed only now: of nothing, or of so much that it would fill the memory.
    issues.push((error as Error).message);
    return {};
  }
  if (value === null || value === undefined) return {};
  if (typeof value !== 'object' || Array.isArray(value)) {
    issues.push('the file must hold keys and values');
    return {};
  }
  return value as Record<string, unknown>;
}

/** `CDC_SOURCE_URL` sets `source.url`; lists are comma separated. */
function applyEnvironment(raw: Record<string, unknown>, env: LoadOptions['env']): void {
  for (const leaf of leafPaths()) {
    const value = env[leaf.variable];
    if (leaf.mapping || value === undefined || value === '') continue;
    const one = scalar(value, leaf);
    const isList = leaf.list && typeof one === 'string';
    setPath(raw, leaf.path, isList ? value.split(',').map((v) => v.trim()) : one);
  }
}

/** What is neither is left to the schema, which says what is wrong with it. */
function scalar(value: string, { number, boolean }: LeafPath): unknown {
  if (number && /^\d+$/.test(value)) return Number(value);
  if (boolean && (value === 'true' || value === 'false')) return value === 'true';
  return value;
}

function setPath(target: Record<string, unknown>, path: string, value: unknown): void {
  const keys = path.split('.');
  const last = keys.pop() ?? path;
  let at = target;
  for (const key of keys) {
    const next = at[key];
    if (typeof next !== 'object' || next === null || Array.isArray(next)) at[key] = {};
    at = at[key] as Record<string, unknown>;
  }
  at[last] = value;
}

/** A sentence per issue; an unknown key names the nearest known one. */
function describeIssue(issue: z.core.$ZodIssue): string[] {
  const at = issue.path.map(String).join('.');
  const where = at === '' ? '' : `${at}: `;
  if (issue.code === 'unrecognized_keys') {
    const prefix = at === '' ? '' : `${at}.`;
    const siblings = keysAt(issue.path.map(String));
    return issue.keys.map((key) => {
      const near = nearest(key, siblings);
      return `unknown key ${prefix}${key}${near ? ` (did you mean ${prefix}${near}?)` : ` (known: ${siblings.join(', ')})`}`;
    });
  }
  if (issue.code === 'invalid_union') {
    const inner = issue.errors.flat().filter((e) => e.code !== 'invalid_value');
    if (inner.length > 0) {
      return inner.flatMap((e) => describeIssue({ ...e, path: [...issue.path, ...e.path] }));
    }
  }
  return [`${where}${issue.message}`];
}

/** A path from the configuration, relative to the file it stands in. */
export function resolveFrom(directory: string, path: string): string {
  return isAbsolute(path) ? path : join(directory, path);
}
