import { plural } from '../core/problems.ts';
import type { Printer, Progress } from '../kernel/printer.ts';
import type { Session } from '../kernel/program.ts';
import { formatCount, formatSeconds } from '../lib/format.ts';
import { type ApplyResult, applyPlan } from '../pipeline/apply/apply.ts';
import type { PlanOptions } from '../pipeline/apply/plan.ts';
import type { LoadEvents } from '../pipeline/load/events.ts';
import type { LoadProgress } from '../pipeline/load/load.ts';
import type { Stack } from '../pipeline/state/stack.ts';
import { keptLines } from './kept-text.ts';

/** Applies the plan and shows how it goes on. Throws what applyPlan throws. */
export async function applyWithProgress(
  session: Session,
  stack: Stack,
  options: PlanOptions = {},
): Promise<ApplyResult> {
  const events = applyEvents(session.printer);
  try {
    const applied = await applyPlan(stack, session.context.signal, events, {
      by: 'cli',
      ...options,
    });
    events.done(applied);
    for (const line of keptLines(applied.kept)) session.printer.note(`· ${line}`);
    return applied;
  } catch (error) {
    events.fail();
    throw error;
  }
}

/** Shows an apply while it goes on: its steps, then a bar per table that is loaded. */
export function applyEvents(
  printer: Printer,
): LoadEvents & { done(result: ApplyResult): void; fail(): void } {
  const events = loadEvents(printer, 'comparing with what stands in the servers');
  return {
    ...events,
    done: (result) => {
      const changes = result.steps.length;
      events.done(
        changes === 0
          ? 'source, topics, tables and connector: unchanged'
          : `${changes} changes applied`,
      );
    },
  };
}

/** A line per step; a bar of the table that was begun first; a line per table that is loaded. */
export function loadEvents(
  printer: Printer,
  beginning: string,
): LoadEvents & { done(text: string): void; fail(): void } {
  const loading = new Map<string, LoadProgress>();
  let current: Progress | undefined = printer.progress(beginning);
  let text = beginning;
  const show = (next: string) => {
    text = next;
    if (current) current.update(text);
    else current = printer.progress(text);
  };
  const showLoading = () => {
    const [first, ...others] = loading.values();
    if (first) show(loadLine(first, others.length));
  };
  const end = (last: string, how: 'done' | 'fail') => {
    current ??= printer.progress(last);
    current[how](last);
    current = undefined;
  };
  return {
    step: (next) => {
      if (loading.size === 0) show(next);
    },
    loading: (progress) => {
      loading.set(progress.table, progress);
      showLoading();
    },
    loaded: ({ table, rows, seconds }) => {
      loading.delete(table);
      end(`loaded ${table}: ${formatCount(rows)} rows (${rate({ rows, seconds })})`, 'done');
      showLoading();
    },
    failed: (detail) => {
      // Which one it was is in its sentence; those that go on report again.
      loading.clear();
      end(detail, 'fail');
    },
    remark: (remark) => printer.note(`! ${remark}`),
    done: (last) => end(last, 'done'),
    fail: () =>
      end(loading.size > 0 ? `${text.split(' ', 2).join(' ')} stopped` : 'stopped', 'fail'),
  };
}

function rate(progress: Pick<LoadProgress, 'rows' | 'seconds'>): string {
  return `${formatCount(progress.rows / Math.max(progress.seconds, 0.001))} rows/s, ${formatSeconds(progress.seconds)}`;
}

const BAR = 20;

/** `loading orders ████░░░░ 42 % 1,200,000 of ~2,900,000 rows, 480,000 rows/s, 4 s left, 3 more tables`. */
export function loadLine(progress: LoadProgress, others = 0): string {
  const filled = Math.round(progress.done * BAR);
  const bar = '█'.repeat(filled) + '░'.repeat(BAR - filled);
  const perSecond = progress.rows / Math.max(progress.seconds, 0.001);
  const of = progress.estimatedRows ? ` of ~${formatCount(progress.estimatedRows)}` : '';
  const left =
    progress.done > 0 && progress.done < 1
      ? `, ${formatSeconds((progress.seconds / progress.done) * (1 - progress.done))} left`
      : '';
  const more = others > 0 ? `, ${plural(others, 'more table')}` : '';
  return `loading ${progress.table} ${bar} ${Math.round(progress.done * 100)} % ${formatCount(progress.rows)}${of} rows, ${formatCount(perSecond)} rows/s${left}${more}`;
}
