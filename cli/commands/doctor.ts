import { loadConfig } from '../config/load.ts';
import type { Finding } from '../core/findings.ts';
import { EXIT, plural } from '../core/problems.ts';
import type { Printer } from '../kernel/printer.ts';
import type { CommandSpec } from '../kernel/program.ts';
import { diagnose } from '../pipeline/status/doctor.ts';
import { printScript } from './script.ts';

export const doctor: CommandSpec = {
  usage: 'doctor',
  summary: 'everything that is wrong, each with its fix; also checks a database before up',
  examples: [
    'cdc doctor',
    'CDC_SOURCE_URL=postgres://me@db.example.com/shop cdc doctor',
    'cdc doctor --sql | psql postgres://owner@db.example.com/shop',
  ],
  options: [
    {
      flags: '--sql',
      description: 'print what the owner of the source has to run instead, as cdc init --sql does',
    },
  ],
  async run(session, _args, options) {
    if (options.sql === true) return printScript(session, {});
    const { context, printer } = session;
    const progress = printer.progress('looking at everything');
    const findings = await diagnose(context, () =>
      loadConfig({ cwd: context.cwd, env: context.env, file: session.configFile }),
    );
    const wrong = findings.filter((finding) => finding.severity !== 'info');
    const ok = wrong.length === 0;
    progress.done('looked at machine, servers, pipeline');
    printer.result({ ok, findings }, () => doctorText(printer, findings, wrong.length));
    return ok ? EXIT.done : EXIT.found;
  },
};

function doctorText(printer: Printer, findings: readonly Finding[], wrong: number): string {
  const { paint } = printer;
  const verdict =
    wrong > 0
      ? `${paint.red('✖')} ${plural(wrong, 'finding')} to fix; then run cdc doctor again`
      : `${paint.green('✔')} no findings${findings.length > 0 ? ' that need fixing' : ''}`;
  return findings.length === 0 ? verdict : `${printer.findings(findings)}\n${verdict}`;
}
