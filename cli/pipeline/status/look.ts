import { within } from '../../lib/wait.ts';

const PROBE_MS = 2000;

/** What came of a look: an answer, or why there was none. */
export type Look<T> = { readonly value: T } | { readonly error: unknown };

export function answerOf<T>(seen: Look<T> | undefined): T | undefined {
  return seen && 'value' in seen ? seen.value : undefined;
}

/** One look with a deadline; undefined when there is nothing to look at. */
export async function look<T>(
  work: (() => Promise<T>) | undefined,
  timeoutMs = PROBE_MS,
): Promise<Look<T> | undefined> {
  if (!work) return undefined;
  try {
    return { value: await within(timeoutMs, work) };
  } catch (error) {
    return { error };
  }
}

/** Looks by name, all at once. */
export async function allOf<K extends string, T>(
  looks: Readonly<Record<K, Promise<T>>>,
): Promise<Record<K, T>> {
  const entries = Object.entries<Promise<T>>(looks).map(async ([name, look]) => [name, await look]);
  return Object.fromEntries(await Promise.all(entries)) as Record<K, T>;
}
