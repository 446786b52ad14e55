/** Process exit codes; scripts rely on them. */
export const EXIT = {
  done: 0,
  bug: 1,
  usage: 2,
  configuration: 3,
  unreachable: 4,
  refused: 5,
  found: 6,
  interrupted: 130,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export interface ProblemEntry {
  readonly exit: ExitCode;
  /** One sentence: what is wrong. */
  readonly sentence: string;
  /** Why it usually happens. */
  readonly cause: string;
  /** What to type or paste. */
  readonly fix: string;
}

export function entry(exit: ExitCode, sentence: string, cause: string, fix: string): ProblemEntry {
  return { exit, sentence, cause, fix };
}
