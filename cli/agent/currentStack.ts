import { statSync } from 'node:fs';
import type { LoadedConfig } from '../config/load.ts';
import { type Stack, stackOf } from '../pipeline/state/stack.ts';

/** For so long a stack is as it was read, unless its cdc.yaml is another one. */
const KEPT_MS = 2000;

/**
 * The stack as cdc.yaml says at that moment, for loops that ask many times a second: to read and check all of it took a
 * quarter of an idle agent's work.
 */
export function currentStack(
  load: () => LoadedConfig,
  env: Readonly<Record<string, string | undefined>>,
): () => Stack {
  let known: { readonly stack: Stack; readonly file: string | undefined } | undefined;
  let version = '';
  let readAtMs = 0;
  return () => {
    const isKept = known !== undefined && performance.now() - readAtMs < KEPT_MS;
    if (known && isKept && versionOf(known.file) === version) return known.stack;
    const loaded = load();
    version = versionOf(loaded.file);
    known = { stack: stackOf(loaded, { env }), file: loaded.file };
    readAtMs = performance.now();
    return known.stack;
  };
}

/** Another one after every write. Where there is no file, one that comes is seen when the stack is read again. */
function versionOf(file: string | undefined): string {
  if (file === undefined) return '';
  const found = statSync(file, { bigint: true, throwIfNoEntry: false });
  return found ? `${found.ino} ${found.size} ${found.mtimeNs}` : 'gone';
}
