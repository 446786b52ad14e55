import type { Printer, Progress } from '../kernel/printer.ts';
import { formatCount, formatSeconds } from '../lib/format.ts';
import type { ApplyResult } from '../pipeline/apply.ts';
import type { ExistingEvents } from '../pipeline/existing.ts';
import type { LoadProgress } from '../pipeline/load.ts';

/** Shows an apply while it goes on: its steps, then a bar per table that is loaded. */
export function applyEvents(
  printer: Printer,
): ExistingEvents & { done(result: ApplyResult): void; fail(): void } {
  const events = loadEvents(printer, 'comparing with what stands in the servers');
  return {
    ...events,
    done: (result) => {
      const changes = result.changes.length;
      events.done(
        changes === 0
          ? 'source, topics, tables and connector: unchanged'
          : `${changes} changes applied`,
      );
    },
  };
}

/** A line per step, then a bar per table that is loaded. */
export function loadEvents(
  printer: Printer,
  beginning: string,
): ExistingEvents & { done(text: string): void; fail(): void } {
  let current: Progress | undefined;
  let last: LoadProgress | undefined;
  const endLoad = () => {
    if (!last) return false;
    current?.done(`loaded ${last.table}: ${formatCount(last.rows)} rows (${rate(last)})`);
    last = undefined;
    return true;
  };
  current = printer.progress(beginning);
  return {
    step: (text) => {
      if (endLoad()) current = printer.progress(text);
      else current?.update(text);
    },
    loading: (progress) => {
      if (last && last.table !== progress.table) {
        endLoad();
        current = undefined;
      }
      current ??= printer.progress(`loading ${progress.table}`);
      last = progress;
      current.update(loadLine(progress));
    },
    failed: (text) => {
      current?.fail(text);
      current = undefined;
      last = undefined;
    },
    remark: (text) => printer.note(`! ${text}`),
    done: (text) => {
      if (endLoad()) printer.note(`✔ ${text}`);
      else current?.done(text);
    },
    fail: () => current?.fail(last ? `loading ${last.table} stopped` : 'stopped'),
  };
}

function rate(progress: LoadProgress): string {
  return `${formatCount(progress.rows / Math.max(progress.seconds, 0.001))} rows/s, ${formatSeconds(progress.seconds)}`;
}

const BAR = 20;

/** `orders ████░░░░ 42 % 1,200,000 of ~2,900,000 rows, 480,000 rows/s, 4 s left`. */
export function loadLine(progress: LoadProgress): string {
  const filled = Math.round(progress.done * BAR);
  const bar = '█'.repeat(filled) + '░'.repeat(BAR - filled);
  const perSecond = progress.rows / Math.max(progress.seconds, 0.001);
  const of = progress.estimatedRows ? ` of ~${formatCount(progress.estimatedRows)}` : '';
  const left =
    progress.done > 0 && progress.done < 1
      ? `, ${formatSeconds((progress.seconds / progress.done) * (1 - progress.done))} left`
      : '';
  return `loading ${progress.table} ${bar} ${Math.round(progress.done * 100)} % ${formatCount(progress.rows)}${of} rows, ${formatCount(perSecond)} rows/s${left}`;
}
