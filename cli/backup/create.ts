import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { withClickHouse } from '../components/clickhouse/client.ts';
import { Connect } from '../components/connect/client.ts';
import { withKafkaAdmin } from '../components/kafka/client.ts';
import { endOffsets } from '../components/kafka/topics.ts';
import { withPostgres } from '../components/postgres/client.ts';
import { observeSlot, walPosition } from '../components/postgres/observe.ts';
import {
  type BackupFile,
  backupId,
  type Manifest,
  newestBefore,
  segmentOf,
  whyFull,
} from '../core/backups.ts';
import { formatLsn, parseLsn } from '../core/lsn.ts';
import { errorText, Problem } from '../core/problems.ts';
import { fileProblem } from '../lib/files.ts';
import { parseDurationMs } from '../lib/format.ts';
import { packageVersion } from '../lib/packageRoot.ts';
import { waitForQueues } from '../pipeline/inspect/caughtUp.ts';
import { withApplyLock } from '../pipeline/state/applyLock.ts';
import type { Stack } from '../pipeline/state/stack.ts';
import { withArchive } from './archive.ts';
import { type Here, sourceOf, whyArchiveEnds } from './basis.ts';
import { backUpClickHouse, CLICKHOUSE, copiedDatabases, linkBackups } from './clickhouse.ts';
import { hashFile, hashTrees, syncTree, withBytes } from './files.ts';
import {
  archiveAndRelease,
  archiveSlot,
  type BaseBackup,
  baseBackup,
  endSegment,
  POSTGRES,
} from './postgres.ts';
import { passphraseOf, SETTINGS, saveSettings } from './settings.ts';
import { forgetOlder, keepChanges } from './slot.ts';
import {
  claimFolder,
  listBackups,
  publish,
  removeUnfinished,
  requireTarget,
  unfinishedFolder,
  WAL,
  withBackupLock,
} from './store.ts';
import { archived, archiveWal, walSource } from './wal.ts';

export interface BackupEvents {
  step(text: string): void;
  /** Something to know, that does not end it. */
  remark(text: string): void;
}

export interface CreateOptions {
  readonly full: boolean;
  readonly now: () => Date;
  readonly signal: AbortSignal;
}

/** Throws BACKUP_NOT_HERE. */
export function refuseBackup({ endpoints, agent }: Stack): void {
  const refused =
    agent?.view !== undefined
      ? {
          detail: 'Its servers run in containers, whose volumes cdc does not reach.',
          instead:
            'docker compose stop, copy the volumes, docker compose start   # or runtime: embedded in cdc.yaml',
        }
      : endpoints.clickhouse.managed
        ? undefined
        : {
            detail: 'Its ClickHouse runs elsewhere, and so do its own backups.',
            instead: 'BACKUP DATABASE … TO …   # in that ClickHouse, by its owner',
          };
  if (refused) throw new Problem('BACKUP_NOT_HERE', { verb: 'back up', ...refused });
}

/** Makes a backup, and returns what it is. What was begun and does not end is taken away, at the latest by the next. */
export async function createBackup(
  stack: Stack,
  options: CreateOptions,
  events: BackupEvents,
): Promise<Manifest> {
  refuseBackup(stack);
  const target = requireTarget(stack);
  return withBackupLock(target, async () => {
    for (const name of await removeUnfinished(target))
      events.remark(`removed ${name}, which had not come to its end`);
    const all = await listBackups(target);
    const here = await sourceOf(stack);
    claimFolder(target, { pipeline: here.pipeline, source: here.source });
    const why = options.full
      ? 'asked for'
      : (whyFull(all, here, {
          now: options.now(),
          fullEveryMs: parseDurationMs(stack.config.backup.full_every) ?? 0,
        }) ?? (await whyArchiveEnds(stack, target, all)));
    const last = newestBefore(all);
    const base = why === undefined ? last : undefined;
    const id = idAfter(last?.id, options.now());
    const folder = unfinishedFolder(target, id);
    events.step(base ? `an incremental backup, on ${base.id}` : `a full backup: ${why}`);
    try {
      mkdirSync(folder, { mode: 0o700 });
      return await new Backup(stack, target, id, all, base, here, options, events).make();
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      throw error instanceof Problem && error.code === 'DISK_FULL'
        ? new Problem('DISK_FULL', { path: target, detail: error.causeText }, { cause: error })
        : fileProblem(target, error);
    }
  });
}

/** Ids tell seconds, and grow. */
function idAfter(last: string | undefined, now: Date): string {
  const id = backupId(now);
  return last === undefined || id > last ? id : idAfter(last, new Date(now.getTime() + 1000));
}

class Backup {
  private readonly stack: Stack;
  private readonly target: string;
  private readonly id: string;
  private readonly all: readonly Manifest[];
  private readonly base: Manifest | undefined;
  private readonly here: Here;
  private readonly options: CreateOptions;
  private readonly events: BackupEvents;
  private readonly folder: string;

  constructor(
    stack: Stack,
    target: string,
    id: string,
    all: readonly Manifest[],
    base: Manifest | undefined,
    here: Here,
    options: CreateOptions,
    events: BackupEvents,
  ) {
    this.stack = stack;
    this.target = target;
    this.id = id;
    this.all = all;
    this.base = base;
    this.here = here;
    this.options = options;
    this.events = events;
    this.folder = unfinishedFolder(target, id);
  }

  async make(): Promise<Manifest> {
    const { stack, events, folder } = this;
    const { signal } = this.options;
    const startedAt = this.options.now();
    await this.keepChanges();
    const copied = await this.copiedPosition();
    const postgres =
      stack.endpoints.postgres.managed && !this.base
        ? await this.during("copying PostgreSQL's data", (onBytes) =>
            baseBackup(stack.endpoints.postgres, this.id, join(folder, POSTGRES), signal, onBytes),
          )
        : undefined;
    try {
      const { databases, version } = await this.clickhouse();
      const positions = await this.positions(copied);
      events.step('writing settings and checksums');
      const secrets = await saveSettings(
        { ...stack, file: join(stack.directory, 'cdc.yaml') },
        folder,
        passphraseOf(stack, stack.env),
        signal,
      );
      const wal = await this.archiveTo(postgres);
      const files = [
        ...(postgres?.files.map((file) => ({ ...file, path: join(POSTGRES, file.path) })) ?? []),
        ...(await this.during('reading what was written', (onBytes) =>
          hashTrees(folder, [CLICKHOUSE, SETTINGS], signal, onBytes),
        )),
      ];
      const manifest: Manifest = {
        v: 1,
        id: this.id,
        kind: this.base ? 'incremental' : 'full',
        full: this.base?.full ?? this.id,
        ...(this.base ? { base: this.base.id } : {}),
        started_at: startedAt.toISOString(),
        finished_at: this.options.now().toISOString(),
        versions: { cdc: packageVersion(), postgres: this.here.version, clickhouse: version },
        pipeline: this.here.pipeline,
        source: this.here.source,
        ...(this.here.timeline === undefined ? {} : { timeline: this.here.timeline }),
        positions,
        ...(postgres
          ? {
              postgres: {
                start: formatLsn(postgres.start),
                segment_bytes: postgres.segmentBytes,
                folders: [...postgres.folders],
              },
            }
          : {}),
        clickhouse: { databases },
        secrets,
        files,
        wal,
        bytes: [...files, ...wal].reduce((sum, { bytes }) => sum + bytes, 0),
      };
      await this.publish(manifest, postgres);
      return manifest;
    } finally {
      await postgres?.release();
    }
  }

  private get keepsChanges(): boolean {
    const { endpoints, config } = this.stack;
    return config.backup.source_slot && !endpoints.postgres.managed;
  }

  /** Before the position that the copy is waited for. */
  private async keepChanges(): Promise<void> {
    const { endpoints, names } = this.stack;
    if (!this.keepsChanges) return;
    await withPostgres(endpoints.postgres, async (client) => {
      await forgetOlder(client, names, newestBefore(this.all)?.id);
      await keepChanges(client, names, this.id);
    });
  }

  /** Everything before it is in the copy: absent where the pipeline does not flow, which is no reason for no backup. */
  private async copiedPosition(): Promise<bigint | undefined> {
    const { stack, events } = this;
    events.step('waiting until the copy has what is committed now');
    const position = await withPostgres(stack.endpoints.postgres, walPosition);
    try {
      await waitForQueues(stack, this.options.signal);
      return position;
    } catch (error) {
      this.options.signal.throwIfAborted();
      events.remark(
        `the copy does not flow: who restores this backup loads its tables again. ${errorText(error)}`,
      );
      return undefined;
    }
  }

  private async clickhouse(): Promise<{ databases: string[]; version: string }> {
    const { stack, events, target } = this;
    const { signal } = this.options;
    const links = new Map(this.all.map(({ id }) => [id, join(target, id)]));
    linkBackups(stack.layout, links.set(this.id, this.folder));
    return withClickHouse(
      stack.endpoints.clickhouse,
      async (clickhouse) => {
        const databases = await copiedDatabases(clickhouse);
        const [row] = await clickhouse.rows<{ version: string }>('SELECT version() AS version');
        // What is remembered of loads must not be younger than the rows that it is about.
        await withApplyLock(stack, signal, events.step, async () => {
          events.step("ClickHouse's BACKUP");
          await backUpClickHouse(clickhouse, this.id, this.base?.id, databases, target);
        });
        return { databases, version: row?.version ?? '' };
      },
      { requestTimeoutMs: 12 * 3_600_000 },
    );
  }

  private async positions(copied: bigint | undefined): Promise<Manifest['positions']> {
    const { endpoints, names } = this.stack;
    const ends = await withKafkaAdmin(endpoints.kafka, async (admin) => {
      const topics = (await admin.listTopics()).filter((topic) =>
        topic.startsWith(`${names.topicPrefix}.`),
      );
      return endOffsets(admin, topics);
    });
    const connect = await new Connect(endpoints.connect)
      .offsets(names.connector)
      .catch(() => undefined);
    return withPostgres(endpoints.postgres, async (client) => {
      const slot = await observeSlot(client, names.slot);
      const end = await this.end(client);
      return {
        copied: copied === undefined ? undefined : formatLsn(copied),
        end: formatLsn(end),
        slot: slot && {
          restart: slot.restartLsn === undefined ? undefined : formatLsn(slot.restartLsn),
          confirmed:
            slot.confirmedFlushLsn === undefined ? undefined : formatLsn(slot.confirmedFlushLsn),
        },
        topics: Object.fromEntries(
          [...ends].map(([topic, partitions]) => [
            topic,
            Object.fromEntries([...partitions].map(([at, end]) => [String(at), String(end)])),
          ]),
        ),
        connect,
      };
    });
  }

  private async end(client: pg.ClientBase): Promise<bigint> {
    const end = await walPosition(client);
    if (this.stack.endpoints.postgres.managed) await endSegment(client);
    return end;
  }

  /** Where the chain's archive is, and from where on it has to have WAL. */
  private archive(postgres: BaseBackup | undefined): { folder: string; start: bigint } | undefined {
    if (postgres) return { folder: join(this.folder, WAL), start: postgres.start };
    const full = this.all.find(({ id }) => id === this.base?.full);
    return full?.postgres
      ? { folder: join(this.target, full.id, WAL), start: parseLsn(full.postgres.start) }
      : undefined;
  }

  /** @returns the segments that this backup needs and those before it in its chain do not have. */
  private async archiveTo(postgres: BaseBackup | undefined): Promise<BackupFile[]> {
    const archive = this.archive(postgres);
    if (!archive) return [];
    const { endpoints } = this.stack;
    const source = await withArchive(this.target, () =>
      withPostgres(endpoints.postgres, async (client) => {
        const found = await walSource(client);
        await archiveWal(found, archive.folder, archive.start);
        return found;
      }),
    );
    const listed = new Set(
      this.all
        .filter(({ full }) => full === this.base?.full)
        .flatMap(({ wal }) => wal.map(({ path }) => path)),
    );
    const end = segmentOf(source.flushed, source.segmentBytes);
    const segments = (await archived(archive.folder, source, archive.start)).filter(
      ({ file, segment, isComplete }) => isComplete && segment < end && !listed.has(file),
    );
    return Promise.all(
      segments.map(async ({ file }) => ({
        path: file,
        ...(await hashFile(join(archive.folder, file), this.options.signal)),
      })),
    );
  }

  /** From then on the agent archives to the new chain: it must find there all that PostgreSQL may forget. */
  private async publish(manifest: Manifest, postgres: BaseBackup | undefined): Promise<void> {
    const { stack, target } = this;
    this.events.step('writing all of it to the disk');
    await syncTree(this.folder);
    await withArchive(target, async () => {
      await publish(target, manifest);
      if (!postgres) return;
      await withPostgres(stack.endpoints.postgres, (client) =>
        archiveAndRelease(
          client,
          archiveSlot(stack.names),
          join(target, this.id, WAL),
          postgres.start,
        ),
      );
    });
    const { postgres: source } = stack.endpoints;
    if (!source.managed)
      await withPostgres(source, (client) =>
        forgetOlder(client, stack.names, this.keepsChanges ? this.id : undefined),
      );
    linkBackups(stack.layout, new Map());
  }

  private during<T>(text: string, work: (onBytes: (bytes: number) => void) => Promise<T>) {
    return withBytes(text, this.events.step, work);
  }
}
