import {
  chooseBackup,
  endRestore,
  type RestoreHost,
  type RestoreOptions,
  restoreCopy,
  restoreFiles,
  type Wanted,
} from '../backup/restore.ts';
import { passphraseIfThere } from '../backup/settings.ts';
import { locate, targetOf } from '../backup/store.ts';
import { loadConfig } from '../config/load.ts';
import { type CommandSpec, type Session, UsageError } from '../kernel/program.ts';
import { formatCount, formatSeconds } from '../lib/format.ts';
import { isProven, type Verification } from '../pipeline/verify/verify.ts';
import { postgresOutsideFolder, recoverPostgres } from '../runtimes/embedded/servers/postgres.ts';
import { layoutOf } from '../stack/layout.ts';
import { bringUp } from './up.ts';
import { explainVerification, verifyWithProgress } from './verify.ts';

export interface RestoreResult {
  readonly backup: string;
  readonly directory: string;
  /** When the newest transaction was committed that came back; absent where the source was not restored. */
  readonly restored_to: string | undefined;
  /** Changes go on from where the backup was; else its tables were loaded again. */
  readonly goes_on: boolean;
  readonly loaded_rows: number;
  /** Until it had everything and changes flowed. */
  readonly flowing_seconds: number;
  /** Until it was compared, too. */
  readonly seconds: number;
  /** What stood there before, where it was moved to. */
  readonly aside: string | undefined;
  readonly verification: Verification;
}

export const restore: CommandSpec = {
  usage: 'restore <backup>',
  summary: 'a stack from a backup: the folder of one, or of all of them for the newest state',
  examples: [
    'cdc restore /mnt/backups/cdc',
    'cdc restore /mnt/backups/cdc --at 2026-11-27T04:30:00Z',
    'cdc restore /mnt/backups/cdc/20261127T043500Z --replace',
  ],
  options: [
    {
      flags: '--at <time>',
      description: 'the source as it was then (ISO 8601); of a PostgreSQL that cdc runs',
      parse: (text) => {
        const at = new Date(text);
        if (!/^\d{4}-\d{2}-\d{2}T/.test(text) || Number.isNaN(at.getTime()))
          throw new UsageError('--at must be a time such as 2026-11-27T04:30:00Z');
        return at;
      },
    },
    {
      flags: '--replace',
      description: 'move a stack that is in this folder aside, and put the backup in its place',
    },
  ],
  async run(session, [asked], options) {
    const { context, printer } = session;
    const loaded = loadConfig({ cwd: context.cwd, env: context.env, file: session.configFile });
    const wanted = await chooseBackup(
      await locate(String(asked), context.cwd, targetOf(loaded)),
      options.at as Date | undefined,
      context.now(),
    );
    const result = await restoreStack(session, wanted, options.replace === true);
    printer.result(result, () => restoreText(result));
    return explainVerification(printer, result.verification);
  },
};

/** From a backup to a stack that runs and is compared. */
export async function restoreStack(
  session: Session,
  wanted: Wanted,
  replace: boolean,
): Promise<RestoreResult> {
  const { context, printer } = session;
  const { cwd, env, signal } = context;
  const startedAtMs = context.monotonicMs();
  const loaded = loadConfig({ cwd, env, file: session.configFile });
  const { directory } = loaded;
  const id = wanted.backup.id;
  const during = async <T>(
    text: string,
    done: string,
    work: (step: RestoreOptions['step']) => Promise<T>,
  ) => {
    const progress = printer.progress(text);
    try {
      const result = await work((now) => progress.update(now));
      progress.done(done);
      return result;
    } catch (error) {
      progress.fail(`${text}: failed`);
      throw error;
    }
  };
  const { recovered, aside } = await during(
    `restoring files of ${id}`,
    `files of ${id} are restored`,
    (step) =>
      restoreFiles(wanted, {
        directory,
        env,
        host: hostOf(directory, env),
        passphrase: passphraseIfThere(loaded, env),
        replace,
        now: context.now(),
        signal,
        step,
        remark: (text) => printer.note(`· ${text}`),
      }),
  );
  let goesOn = false;
  const { result, stack } = await bringUp(session, { runtime: 'embedded' }, async (stack) => {
    ({ goesOn } = await during('restoring the copy', "ClickHouse's part is restored", (step) =>
      restoreCopy(stack, wanted, step),
    ));
  });
  endRestore(directory);
  const flowingMs = context.monotonicMs() - startedAtMs;
  const verification = await verifyWithProgress(session, stack, []);
  return {
    backup: id,
    directory,
    restored_to: recovered?.lastCommit?.toISOString(),
    goes_on: goesOn,
    loaded_rows: result.loaded_rows,
    flowing_seconds: Math.round(flowingMs / 100) / 10,
    seconds: Math.round((context.monotonicMs() - startedAtMs) / 100) / 10,
    aside,
    verification,
  };
}

function hostOf(directory: string, env: Session['context']['env']): RestoreHost {
  const layout = layoutOf(directory);
  return {
    outside: postgresOutsideFolder(layout.root),
    recover: (...how) => recoverPostgres({ layout, env }, ...how),
  };
}

function restoreText(result: RestoreResult): string {
  const { backup, restored_to: to, goes_on: goesOn, verification } = result;
  return [
    `${isProven(verification) ? 'Restored, and equal to its source' : 'Restored'}: backup ${backup}; changes flow after ${formatSeconds(result.flowing_seconds)}, compared after ${formatSeconds(result.seconds)}.`,
    to === undefined
      ? 'The source is one of your own, and was not touched.'
      : `The source is as it was after the transaction of ${to}.`,
    goesOn
      ? 'The slot still had all changes that came after the backup: they were read from there.'
      : `The tables were loaded again: ${formatCount(result.loaded_rows)} rows.`,
    ...(result.aside === undefined ? [] : [`What was here is in ${result.aside}.`]),
  ].join('\n');
}
