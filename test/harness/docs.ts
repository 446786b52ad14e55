import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { COMMANDS } from '../../cli/commands/registry.ts';
import { leafPaths } from '../../cli/config/describe.ts';
import { planColumn } from '../../cli/core/columns.ts';
import { PROBLEMS } from '../../cli/core/problems.ts';
import { CARRIED_TYPES } from '../../cli/core/types/mapping.ts';
import type { CommandSpec } from '../../cli/kernel/program.ts';
import { packageRoot } from '../../cli/lib/packageRoot.ts';
import { column } from './pipeline.ts';

/** Documentation that is derived from the code; `npm run docs` writes it, a test holds it fresh. */
export function generatedDocs(): Record<string, string> {
  return {
    'docs/configuration.md': configuration(),
    'docs/errors.md': errors(),
    'docs/commands.md': commands(),
    'docs/types.md': types(),
  };
}

const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

function configuration(): string {
  const rows = leafPaths().map(
    (leaf) =>
      `| \`${leaf.path}\` | ${cell(leaf.type)} | ${leaf.default === undefined ? '' : `\`${JSON.stringify(leaf.default)}\``} | ${leaf.mapping ? '' : `\`${leaf.variable}\``} | ${cell(leaf.description)} |`,
  );
  return `# cdc.yaml

Generated from \`cli/config/schema.ts\`. Everything has a default; without a file \`cdc up\` runs the
inventory example. A flag wins over the environment, the environment over the file. Lists in the
environment are separated by commas. Passwords come from the environment (\`CDC_SOURCE_PASSWORD\`,
\`CDC_KAFKA_PASSWORD\`, \`CDC_CONNECT_PASSWORD\`, \`CDC_CLICKHOUSE_PASSWORD\`) or from the files named
here; those of servers that cdc runs are generated into \`.cdc/secrets.json\`.

| key | type | default | environment | meaning |
|---|---|---|---|---|
${rows.join('\n')}
`;
}

function errors(): string {
  const parts = Object.entries(PROBLEMS).map(
    ([code, entry]) =>
      `## ${code}\n\n${entry.sentence} (exit ${entry.exit})\n\n- cause: ${cell(entry.cause)}\n- fix: \`${cell(entry.fix)}\``,
  );
  return `# Problems

Generated from \`cli/core/problems.ts\`. Exit codes: 0 done, 1 bug, 2 usage, 3 configuration, 4 server
unreachable, 5 server refused, 6 a check found something, 130 interrupted. \`{words}\` are filled in.

${parts.join('\n\n')}
`;
}

function commands(): string {
  const one = (spec: CommandSpec, parent: string): string => {
    const options = (spec.options ?? []).map((o) => `- \`${o.flags}\`: ${o.description}`);
    const own = `## cdc ${parent}${spec.usage}\n\n${spec.summary}\n\n${options.length > 0 ? `${options.join('\n')}\n\n` : ''}\`\`\`sh\n${spec.examples.join('\n')}\n\`\`\``;
    const inner = (spec.commands ?? []).map((c) => one(c, `${spec.usage} `));
    return [own, ...inner].join('\n\n');
  };
  return `# Commands

Generated from \`cli/commands/\`. Every command also takes \`--json\` (one document on standard output),
\`--config FILE\` and \`--help\`.

${COMMANDS.filter((c) => !c.hidden)
  .map((c) => one(c, ''))
  .join('\n\n')}
`;
}

function types(): string {
  const rows = CARRIED_TYPES.map((type) => {
    const sized = type === 'numeric' ? { precision: 12, scale: 2 } : {};
    const declared = column(type, type, { notNull: true, ...sized });
    const label = type === 'numeric' ? 'numeric(12,2)' : type;
    return `| ${label} | \`${planColumn(declared)?.type}\` |`;
  });
  return `# Types

Generated from \`cli/core/types/mapping.ts\`. A nullable column becomes \`Nullable(…)\`. Enums are \`String\`.
\`numeric\` without a precision, or with more than 76 digits, is \`String\`: only text keeps every digit.
Domains are carried as what they are made of. Arrays of these (one dimension) become
\`Array(Nullable(…))\`; ClickHouse has no NULL array, so the names of a row's NULL arrays stand in its
column \`_nulls\`. A table with a column of any other type is a finding before anything starts.

A value that its column cannot hold (NaN in a \`Decimal\`, infinity or a year outside 1900 to 2299 in a
date) is never altered: the row goes to \`cdc.dead_letters\` with the reason, and \`cdc verify\` names it.

| PostgreSQL | ClickHouse |
|---|---|
${rows.join('\n')}
`;
}

export function writeDocs(): void {
  for (const [path, text] of Object.entries(generatedDocs())) {
    writeFileSync(join(packageRoot(), path), text);
  }
}

export function readDoc(path: string): string {
  return readFileSync(join(packageRoot(), path), 'utf8');
}
