import { Problem } from './problems.ts';

/** One thing that a read-only check found; checks return these together instead of throwing one. */
export interface Finding {
  /** Stable, kebab-case: `wal-level`, `table-without-key`. */
  readonly id: string;
  readonly severity: 'error' | 'warning' | 'info';
  /** The component or table it is about. */
  readonly subject: string;
  readonly message: string;
  /** SQL or shell to paste. */
  readonly fix: string;
}

/** What a check threw, as a finding with the problem's own fix. */
export function findingOf(subject: string, error: unknown): Finding {
  if (!(error instanceof Problem)) {
    const message = error instanceof Error ? error.message || error.name : String(error);
    return {
      id: 'check-failed',
      severity: 'error',
      subject,
      message,
      fix: 'Run again with CDC_DEBUG=1.',
    };
  }
  const id = error.code.toLowerCase().replaceAll('_', '-');
  return {
    id,
    severity: 'error',
    subject,
    message: `${error.message} ${error.causeText}`.trim(),
    fix: error.fix,
  };
}
