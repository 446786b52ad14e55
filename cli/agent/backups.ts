import { join } from 'node:path';
import type { Logger } from 'pino';
import { withArchive } from '../backup/archive.ts';
import { createBackup, refuseBackup } from '../backup/create.ts';
import { archiveAndRelease, archiveSlot, forgetArchive } from '../backup/postgres.ts';
import { prune } from '../backup/prune.ts';
import { isRestoring } from '../backup/restore.ts';
import { listBackups, targetOf, WAL } from '../backup/store.ts';
import { walSource } from '../backup/wal.ts';
import { withPostgres } from '../components/postgres/client.ts';
import { isUsable, observeSlot } from '../components/postgres/observe.ts';
import { type Manifest, newestBefore } from '../core/backups.ts';
import { parseLsn } from '../core/lsn.ts';
import { errorText, Problem } from '../core/problems.ts';
import { parseDurationMs } from '../lib/format.ts';
import { pause } from '../lib/wait.ts';
import type { Stack } from '../pipeline/state/stack.ts';

/** What a loss of the disk costs at most, of changes in a PostgreSQL that cdc runs. */
const ARCHIVE_MS = 2000;
const SCHEDULE_MS = 5000;
/** What failed is tried again, and a full disk is not filled again at once. */
const RETRY_MS = 300_000;

type Report = (loop: string, trouble: string | undefined) => void;

/** Makes backups by the schedule of cdc.yaml, removes old ones, and archives WAL as it is written. */
export class Backups {
  private readonly stack: () => Stack;
  private readonly log: Logger;
  private readonly report: Report;
  private hasSlot = true;

  constructor(stack: () => Stack, log: Logger, report: Report) {
    this.stack = stack;
    this.log = log;
    this.report = report;
  }

  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.archiving(signal), this.schedule(signal)]);
  }

  private async archiving(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.archive();
        this.report('archive', undefined);
      } catch (error) {
        const isGap = (error as NodeJS.ErrnoException).code === 'ENOENT';
        this.report(
          'archive',
          isGap ? 'WAL is missing: the next backup is a full one' : errorText(error),
        );
      }
      await pause(ARCHIVE_MS, signal).catch(() => {});
    }
  }

  private async archive(): Promise<void> {
    const stack = this.stack();
    const { postgres } = stack.endpoints;
    if (!postgres.managed || isRestoring(stack.layout)) return;
    const slot = archiveSlot(stack.names);
    const target = targetOf(stack);
    if (target === undefined) {
      // Else PostgreSQL would keep WAL that nobody fetches.
      if (this.hasSlot) await withPostgres(postgres, (client) => forgetArchive(client, slot));
      this.hasSlot = false;
      return;
    }
    this.hasSlot = true;
    const full = fullOf(await listBackups(target));
    if (!full?.postgres) return;
    const { start } = full.postgres;
    await withArchive(target, () =>
      withPostgres(postgres, async (client) => {
        // Of another life of the source, which was restored: the next backup begins a chain.
        if ((await walSource(client)).timeline !== full.timeline) return;
        await archiveAndRelease(client, slot, join(target, full.id, WAL), parseLsn(start));
      }),
    );
  }

  private async schedule(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      let waitMs = SCHEDULE_MS;
      try {
        await this.makeDue(signal);
        this.report('backup', undefined);
      } catch (error) {
        // A command makes one: what it makes counts.
        const isBusy = error instanceof Problem && error.code === 'BACKUP_BUSY';
        if (!signal.aborted && !isBusy) {
          this.report('backup', errorText(error));
          this.log.warn({ error: errorText(error) }, 'making a backup; it is tried again');
          waitMs = RETRY_MS;
        }
      }
      await pause(waitMs, signal).catch(() => {});
    }
  }

  private async makeDue(signal: AbortSignal): Promise<void> {
    const stack = this.stack();
    const target = targetOf(stack);
    if (target === undefined || isRestoring(stack.layout)) return;
    const { every, keep } = stack.config.backup;
    const last = newestBefore(await listBackups(target));
    const now = () => new Date();
    const age = last ? now().getTime() - Date.parse(last.finished_at) : Number.POSITIVE_INFINITY;
    if (age < (parseDurationMs(every) ?? 0)) return;
    refuseBackup(stack);
    const { endpoints, names } = stack;
    const slot = await withPostgres(endpoints.postgres, (client) =>
      observeSlot(client, names.slot),
    );
    // There is no pipeline yet.
    if (!isUsable(slot)) return;
    const remark = (text: string) => this.log.warn(text);
    const made = await createBackup(
      stack,
      { full: false, now, signal },
      { step: () => {}, remark },
    );
    this.log.info({ backup: made.id, kind: made.kind, bytes: made.bytes }, 'made a backup');
    const since = new Date(now().getTime() - (parseDurationMs(keep) ?? 0));
    const { removed } = await prune(target, { since });
    if (removed.length > 0)
      this.log.info({ removed: removed.map(({ id }) => id) }, 'removed old backups');
  }
}

function fullOf(all: readonly Manifest[]): Manifest | undefined {
  const last = newestBefore(all);
  return all.find(({ id }) => id === last?.full);
}
