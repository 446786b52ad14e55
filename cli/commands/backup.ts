import { join } from 'node:path';
import { createBackup } from '../backup/create.ts';
import { prune as pruneBackups } from '../backup/prune.ts';
import { chooseBackup } from '../backup/restore.ts';
import { listBackups, locate, requireTarget, targetOf, verifyFiles, WAL } from '../backup/store.ts';
import { lastArchivedAt } from '../backup/wal.ts';
import { loadConfig } from '../config/load.ts';
import { chainOf, type Keeping, type Manifest } from '../core/backups.ts';
import { plural } from '../core/problems.ts';
import { type CommandSpec, type Session, UsageError, wholeNumber } from '../kernel/program.ts';
import { formatBytes, formatCount, formatSeconds, parseDurationMs } from '../lib/format.ts';
import { attach } from '../pipeline/state/stack.ts';
import { drill } from './backup-drill.ts';

const create: CommandSpec = {
  usage: 'create',
  summary:
    'make a backup where cdc.yaml says (backup.to): a full one, or what changed since the last',
  examples: ['cdc backup create', 'cdc backup create --full --json'],
  options: [{ flags: '--full', description: 'a full one, also where the last one is young' }],
  async run(session, _args, options) {
    const { context, printer } = session;
    const stack = attach(context, { file: session.configFile });
    const progress = printer.progress('making a backup');
    try {
      const manifest = await createBackup(
        stack,
        { full: options.full === true, now: context.now, signal: context.signal },
        {
          step: (text) => progress.update(text),
          remark: (text) => printer.note(`! ${text}`),
        },
      );
      progress.done(`backup ${manifest.id}`);
      const result = {
        ...summaryOf([manifest])(manifest),
        path: join(requireTarget(stack), manifest.id),
      };
      printer.result(result, () =>
        [
          `${manifest.kind === 'full' ? 'Full' : 'Incremental'} backup ${manifest.id}: ${formatBytes(manifest.bytes)} in ${formatSeconds(result.seconds)}, ${result.path}`,
          ...(manifest.postgres || manifest.wal.length > 0
            ? []
            : ['PostgreSQL is one of your own, and not in it: its backups are its owner’s.']),
          ...(manifest.secrets === 'left out'
            ? ['No passphrase was given, so that no password is in it (backup.passphrase_file).']
            : []),
        ].join('\n'),
      );
      return undefined;
    } catch (error) {
      progress.fail('no backup was made');
      throw error;
    }
  },
};

const list: CommandSpec = {
  usage: 'list [folder]',
  summary: 'backups that came to their end; of the folder of cdc.yaml without another one',
  examples: ['cdc backup list', 'cdc backup list /mnt/backups/cdc --json'],
  async run(session, [folder]) {
    const { target } = await targetFor(session, folder);
    const all = await listBackups(target);
    const backups = all.map(summaryOf(all));
    const newest = all.at(-1);
    const until = newest && (await lastArchivedAt(join(target, newest.full, WAL)));
    session.printer.result({ folder: target, backups, archived_until: until?.toISOString() }, () =>
      backups.length === 0
        ? `No backups in ${target}.`
        : [
            session.printer.table(
              ['id', 'kind', 'on', 'ended (UTC)', 'took', 'size', 'can be restored'],
              backups.map((one) => [
                one.id,
                one.kind,
                one.base ?? '',
                one.finished_at.slice(0, 19).replace('T', ' '),
                formatSeconds(one.seconds),
                formatBytes(one.bytes),
                one.restorable ? 'yes' : 'no: what it is on is missing',
              ]),
            ),
            ...(until ? [`WAL is archived until ${until.toISOString()}.`] : []),
          ].join('\n'),
    );
    return undefined;
  },
};

const verify: CommandSpec = {
  usage: 'verify [backup]',
  summary:
    'read all files of a backup and of those it is on, and compare their checksums; the newest by default',
  examples: ['cdc backup verify', 'cdc backup verify 20261127T043500Z'],
  async run(session, [asked]) {
    const { target, id } = await targetFor(session, asked);
    const { backup, chain } = await chooseBackup({ target, id }, undefined, session.context.now());
    const progress = session.printer.progress(`reading backup ${backup.id}`);
    let read = 0;
    try {
      const checked = await verifyFiles(target, chain, session.context.signal, (bytes) => {
        read += bytes;
        progress.update(`reading backup ${backup.id}: ${formatBytes(read)}`);
      });
      progress.done(`read ${formatCount(checked.files)} files, ${formatBytes(checked.bytes)}`);
      const result = { backup: backup.id, chain: chain.map((one) => one.id), ...checked };
      session.printer.result(result, () => `Backup ${backup.id} is whole.`);
      return undefined;
    } catch (error) {
      progress.fail(`backup ${backup.id} is not whole`);
      throw error;
    }
  },
};

const prune: CommandSpec = {
  usage: 'prune',
  summary:
    'remove old backups, but none that a younger one needs; by backup.keep of cdc.yaml without an option',
  examples: ['cdc backup prune', 'cdc backup prune --keep 3', 'cdc backup prune --older-than 72h'],
  options: [
    { flags: '--keep <n>', description: 'keep so many of the newest', parse: wholeNumber },
    {
      flags: '--older-than <time>',
      description: 'keep those that ended since',
      parse: (text) => {
        const ms = parseDurationMs(text);
        if (ms === undefined) throw new UsageError('--older-than must be a time such as 72h');
        return ms;
      },
    },
  ],
  async run(session, _args, options) {
    const { context } = session;
    const loaded = loadConfig({ cwd: context.cwd, env: context.env, file: session.configFile });
    const newest = options.keep as number | undefined;
    const older =
      (options.olderThan as number | undefined) ??
      (newest === undefined ? parseDurationMs(loaded.config.backup.keep) : undefined);
    const keeping: Keeping = {
      ...(newest === undefined ? {} : { newest }),
      ...(older === undefined ? {} : { since: new Date(context.now().getTime() - older) }),
    };
    const { removed, kept } = await session.printer.during('removing backups', () =>
      pruneBackups(requireTarget(loaded), keeping),
    );
    const bytes = removed.reduce((sum, one) => sum + one.bytes, 0);
    const result = { removed: removed.map(({ id }) => id), kept: kept.map(({ id }) => id), bytes };
    session.printer.result(result, () =>
      removed.length === 0
        ? `Nothing to remove: ${plural(kept.length, 'backup')} kept.`
        : `Removed ${plural(removed.length, 'backup')} (${formatBytes(bytes)}); ${kept.length} kept.`,
    );
    return undefined;
  },
};

export const backup: CommandSpec = {
  usage: 'backup',
  summary: 'backups of a pipeline: of the copy, and of a PostgreSQL that cdc runs',
  examples: ['cdc backup create', 'cdc backup list', 'cdc backup drill'],
  commands: [create, list, verify, prune, drill],
};

/** A folder, a backup or an id that was given, or the folder of cdc.yaml. */
async function targetFor(session: Session, asked: string | string[] | undefined) {
  const { cwd, env } = session.context;
  const loaded = loadConfig({ cwd, env, file: session.configFile });
  return asked === undefined
    ? { target: requireTarget(loaded), id: undefined }
    : locate(String(asked), cwd, targetOf(loaded));
}

/** What people and scripts are told of one. */
function summaryOf(all: readonly Manifest[]) {
  return (one: Manifest) => ({
    id: one.id,
    kind: one.kind,
    base: one.base,
    started_at: one.started_at,
    finished_at: one.finished_at,
    seconds: (Date.parse(one.finished_at) - Date.parse(one.started_at)) / 1000,
    bytes: one.bytes,
    files: one.files.length + one.wal.length,
    position: one.positions.end,
    secrets: one.secrets,
    restorable: chainOf(all, one) !== undefined,
  });
}
