import type { PartStatus } from './runtime.ts';

/** Memory of the parts of a stack, in bytes; a part that was not read is absent. */
export function memoryByPart(parts: readonly PartStatus[]): Record<string, number> {
  return Object.fromEntries(
    parts.flatMap(({ name, memory_bytes }) =>
      memory_bytes === undefined ? [] : [[name, memory_bytes]],
    ),
  );
}

export function totalBytes(byPart: Readonly<Record<string, number>>): number {
  return Object.values(byPart).reduce((sum, bytes) => sum + bytes, 0);
}
