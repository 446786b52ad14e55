import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import { chooseBackup } from '../backup/restore.ts';
import { SETTINGS } from '../backup/settings.ts';
import { requireTarget } from '../backup/store.ts';
import { loadConfig } from '../config/load.ts';
import { Problem } from '../core/problems.ts';
import type { CommandSpec } from '../kernel/program.ts';
import { writeFileAtomic } from '../lib/files.ts';
import { formatCount, formatSeconds } from '../lib/format.ts';
import { isProven } from '../pipeline/verify/verify.ts';
import { currentRuntime } from '../runtimes/registry.ts';
import { restoreStack } from './restore.ts';
import { explainVerification } from './verify.ts';

export interface DrillResult {
  readonly at: string;
  readonly backup: string;
  /** From the command to a stack that runs, has what the backups have, and gets changes. */
  readonly rto_seconds: number;
  /** Until it was compared, too. */
  readonly verified_seconds: number;
  /** From the newest transaction that came back to the beginning of the drill: what a loss at that moment would have cost. */
  readonly rpo_seconds: number | undefined;
  readonly rows: number;
  readonly equal: boolean;
}

export const drill: CommandSpec = {
  usage: 'drill',
  summary:
    'restore the newest state beside the stack, compare it, and write down how long it took and what was missing',
  examples: ['cdc backup drill', 'cdc backup drill --json'],
  async run(session, _args) {
    const { context, printer } = session;
    const { cwd, env } = context;
    const loaded = loadConfig({ cwd, env, file: session.configFile });
    const target = requireTarget(loaded);
    const at = context.now();
    const wanted = await chooseBackup({ target, id: undefined }, undefined, at);
    if (!wanted.chain[0]?.postgres)
      throw new Problem('BACKUP_NOT_HERE', {
        verb: 'drill with',
        detail:
          'Its source is one of your own: a second stack would take the slot, and with it the changes, from the one that runs.',
        instead: `cdc restore ${target}   # in another folder, with this stack stopped (cdc down)`,
      });
    const scratch = mkdtempSync(join(tmpdir(), 'cdc-drill-'));
    try {
      const config = join(target, wanted.backup.id, SETTINGS, 'cdc.yaml');
      const text = existsSync(config) ? readFileSync(config, 'utf8') : '';
      writeFileSync(join(scratch, 'cdc.yaml'), withoutBackups(text));
      const inside = {
        ...session,
        configFile: undefined,
        context: { ...context, cwd: scratch, env: { ...env, ...BESIDE } },
      };
      const restored = await restoreStack(inside, wanted, false);
      const { verification } = restored;
      const result: DrillResult = {
        at: at.toISOString(),
        backup: wanted.backup.id,
        rto_seconds: restored.flowing_seconds,
        verified_seconds: restored.seconds,
        rpo_seconds:
          restored.restored_to === undefined
            ? undefined
            : Math.max(0, (at.getTime() - Date.parse(restored.restored_to)) / 1000),
        rows: verification.rows,
        equal: isProven(verification),
      };
      const report = join(target, 'drills', `${wanted.backup.id}-${at.getTime()}.json`);
      writeFileAtomic(report, `${JSON.stringify(result, null, 2)}\n`);
      printer.result({ ...result, report }, () =>
        [
          `RTO ${formatSeconds(result.rto_seconds)}, of ${formatCount(result.rows)} rows; compared after ${formatSeconds(result.verified_seconds)}${result.equal ? ': equal to their source' : ''}.`,
          `RPO ${result.rpo_seconds === undefined ? 'not known' : formatSeconds(result.rpo_seconds)}: the age of the newest transaction that came back.`,
          `Written down in ${report}`,
        ].join('\n'),
      );
      return explainVerification(printer, verification);
    } finally {
      const stack = loadConfig({ cwd: scratch, env });
      await printer.during('removing the stack of the drill', () =>
        currentRuntime(stack, env).stop(true),
      );
      rmSync(scratch, { recursive: true, force: true });
    }
  },
};

/** What a second stack on this machine must do otherwise. */
const BESIDE = {
  CDC_CONFIG: undefined,
  CDC_BACKUP_TO: undefined,
  CDC_PORTS: 'auto',
  CDC_OBSERVABILITY: 'off',
  CDC_AGENT_SCHEMA_CHANGES: 'report',
} as const;

/** The drill's own stack must not write among the backups that it is about. */
function withoutBackups(yaml: string): string {
  const document = parseDocument(yaml);
  document.delete('backup');
  return document.toString();
}
