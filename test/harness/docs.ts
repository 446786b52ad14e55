import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { COMMANDS } from '../../cli/commands/registry.ts';
import { leafPaths } from '../../cli/config/describe.ts';
import type { BenchReport } from '../../cli/core/bench.ts';
import { chartsOf } from '../../cli/core/benchChart.ts';
import { planColumn } from '../../cli/core/columns.ts';
import { PROBLEMS } from '../../cli/core/problems.ts';
import { CARRIED_TYPES, mappingOf, TYPES_NOT_CARRIED } from '../../cli/core/types/mapping.ts';
import type { CommandSpec } from '../../cli/kernel/program.ts';
import { packageRoot } from '../../cli/lib/packageRoot.ts';
import { alerts, metrics } from './metric-docs.ts';
import { column } from './pipeline.ts';

/** Documentation that is derived from the code; `npm run generate` writes it, a test holds it fresh. */
export function generatedDocs(): Record<string, string> {
  return {
    'docs/configuration.md': configuration(),
    'docs/errors.md': errors(),
    'docs/commands.md': commands(),
    'docs/types.md': types(),
    'docs/metrics.md': metrics(),
    'docs/alerts.md': alerts(),
    ...benchCharts(),
  };
}

/** Of the newest full run that is kept. */
function benchCharts(): Record<string, string> {
  const folder = join(packageRoot(), 'bench', 'results');
  const names = existsSync(folder) ? readdirSync(folder) : [];
  const newest = names
    .filter((name) => name.endsWith('-full.json'))
    .sort()
    .at(-1);
  if (newest === undefined) return {};
  const report = JSON.parse(readFileSync(join(folder, newest), 'utf8')) as BenchReport;
  return Object.fromEntries(
    chartsOf(report).map(({ name, svg }) => [`docs/performance/${name}.svg`, svg]),
  );
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
\`CDC_KAFKA_PASSWORD\`, \`CDC_CONNECT_PASSWORD\`, \`CDC_CLICKHOUSE_PASSWORD\`, \`CDC_AGENT_PASSWORD\`) or from the files named
here; those of servers that cdc runs are generated into \`.cdc/secrets.json\`.

| key | type | default | environment | meaning |
|---|---|---|---|---|
${rows.join('\n')}

## Tables that cannot be copied

A table that cannot be copied (it has no key, a column of it has no form in the copy, the role may not
read it …) is left out, and everything else goes on. \`up\`, \`plan\`, \`apply\`, \`status\`, \`doctor\`, \`snapshot\`
and \`verify\` name it with its reason and its fix (\`left_out\` in JSON). So does one whose load stopped;
the agent and the next \`cdc apply\` go on with it.

- Chosen by a wildcard, it is a warning. Named in \`source.include\` without one, it ends \`up\`, \`plan\`,
  \`apply\` and \`status\` with exit code 6, when everything else is done. \`verify\` and \`snapshot\` end with 6
  whenever a table that they were asked for is left out.
- \`--strict\` makes it an error, and nothing is done.
- A table that was copied before and loses its key keeps its copy, and leaves the publication: PostgreSQL
  would refuse its updates and deletes otherwise. When it can be copied again it is loaded again, by the
  agent or by \`cdc apply\`; its history (docs/history.md), if it keeps one, begins anew.
- What is wrong with the server, the role or cdc.yaml itself ends the command, as does a choice of tables of
  which none can be copied.

To leave it out for good, write its name into \`source.exclude\`; a backslash before \`*\`, \`?\` or a backslash
takes it literally. \`cdc doctor\` prints the line.

## Row filters

\`\`\`yaml
tables:
  shop.orders: # wildcards work; where several entries name a table, the last one's filter counts
    where: status <> 'draft' AND total > 0
\`\`\`

Only rows that meet the condition are copied. PostgreSQL applies it (it becomes the row filter of the
publication, so PostgreSQL 15 is needed): an update that moves a row out of it ends the row in the
copy, one that moves it in adds it. The first load, \`snapshot\`, \`verify\` and its \`--repair\` read by the same
condition. A row for which it is NULL is outside.

- It may use the table's columns, operators and immutable functions of PostgreSQL itself; no sub-query,
  no \`now()\`, no function or type of your own, such as an enum. \`cdc doctor\` has PostgreSQL judge it, and
  changes nothing.
- PostgreSQL refuses every UPDATE and DELETE of a table whose filter uses columns outside its replica
  identity. That is a finding before anything starts, with the SQL that fixes it. Partitions have a
  replica identity of their own: give it to new ones when you make them, or filter by columns of the key.
- Changing or removing a filter is in \`cdc plan\`; \`cdc apply\` makes it and loads the table again, while
  changes flow: rows that are newly inside come, others end. Until then \`verify\` and \`snapshot\` leave the
  table out.
- TRUNCATE empties the copy, whatever the filter.

## Partitions

A partitioned table is copied as one. PostgreSQL publishes changes of its rows and its TRUNCATE, but not
the TRUNCATE of a single partition, nor that rows go with a partition that is dropped or detached or come
with one that is attached. \`cdc verify\` names such rows; \`cdc snapshot TABLE\` makes the copy equal (so does
\`cdc verify TABLE --repair\`, row by row). To have it published, delete the rows before their partition goes.
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
  const code = (text: string) => `\`${cell(text)}\``;
  const row = (label: string, declared: ReturnType<typeof column>) => {
    const plan = planColumn(declared);
    const mapping = mappingOf(declared);
    if (!plan || !mapping) throw new RangeError(`${label} is not carried`);
    const sides = `${code(plan.canonicalSource('c'))} = ${code(plan.canonicalTarget('c'))}`;
    return `| ${label} | ${code(plan.type)} | ${mapping.sent} | ${code(plan.loadSelect('c'))} | ${sides} | ${mapping.fallback?.values ?? mapping.noNull?.values ?? ''} |`;
  };
  const rows = CARRIED_TYPES.map((type) => row(type, column('c', type, { notNull: true })));
  const sized = (precision: number, scale: number) =>
    row(
      `numeric(${precision},${scale})`,
      column('c', 'numeric', { notNull: true, precision, scale }),
    );
  rows.splice(CARRIED_TYPES.indexOf('numeric') + 1, 0, sized(12, 2), sized(5, -2), sized(100, 2));
  rows.push(row('an enum', column('c', 'mood', { notNull: true, typeKind: 'e' })));
  rows.push(row('a composite', column('c', 'pair', { notNull: true, typeKind: 'c' })));
  rows.push(row('any other type', column('c', 'other', { notNull: true })));
  rows.push(row('int4[]', column('c', 'int4', { notNull: true, array: true })));
  rows.push(row('int4[][]', column('c', 'int4', { notNull: true, array: true, dimensions: 2 })));
  return `# Types

Generated from \`cli/core/types/mapping.ts\`. A nullable column becomes \`Nullable(…)\`,
but for points, vectors and arrays.

Types that ClickHouse has no type for are \`String\` and hold exactly what PostgreSQL prints (with
\`DateStyle\` ISO, \`IntervalStyle\` postgres, \`TimeZone\` UTC, whatever the server's settings are).
A domain is carried as what it is made of; a column of it is nullable unless the column itself is NOT NULL.

**A value that its column cannot hold** keeps its row in the copy: the column shows the nearest value that
its type has (last column of the table below), and PostgreSQL's exact text stands beside it, in the row's
column \`_exact\`, a map from column to text. \`SELECT *\` does not show it; it is there by its name:

\`\`\`sql
SELECT id, valid_until, _exact['valid_until'] FROM shop.prices WHERE mapContains(_exact, 'valid_until');
\`\`\`

It is empty for every other row. \`cdc verify\` compares the exact text, so such a row is equal; loads,
snapshots, repairs, histories and \`as_of\` keep it; \`cdc up\`, \`cdc status\` and \`cdc doctor\` count such
values by column. \`infinity\` becomes the last value of the type, so that \`now() BETWEEN valid_from AND
valid_until\` and \`ORDER BY\` stay right; NaN becomes NULL, or 0 where the source says NOT NULL, so that sums stay
numbers. Keys whose values do not fit stay different rows (\`_exact_key\` in storage).

**Arrays** declared with one dimension become \`Array(Nullable(…))\` of their element's type. ClickHouse
has no NULL array: it is \`[]\`, and \`_exact\` has the column with NULL: \`mapContains(_exact, 'tags')\` tells
it from an empty one. PostgreSQL does not enforce dimensions: a value with several, or with a lower
bound that is not 1, is \`[]\` with its text in \`_exact\`. Declared with several dimensions (\`int[][]\`), or with
\`text\` in cdc.yaml, an array is a \`String\` that holds any shape.

**Points** are ClickHouse's \`Point\`, a pair of Float64 (\`p.1\`, \`p.2\`), and **vectors** of pgvector (\`vector\`, \`halfvec\`)
are \`Array(Float32)\`, so that distances, polygons and vector indexes work with them. Every value of them fits, NaN and
infinity too; a half precision number is a Float32. ClickHouse has no NULL of them: a NULL vector is \`[]\`, which no
vector is, and a NULL point \`(nan, nan)\`, which is in no polygon and at no distance, as \`(0, 0)\` would be. \`_exact\` has the
column with NULL, which tells such a point from one that is \`(NaN,NaN)\`. In arrays and keys they are text.
The extension's types are known by their names, whatever schema it is in.

**Why these types.** \`numeric\` without a precision is \`Decimal(76, 38)\`, the widest there is: what is a
number can be added up, and 1.50 and 1.5 are one number, to ClickHouse as to PostgreSQL. \`time\` is
\`Time64(6)\`, which holds 24:00:00. Intervals, ranges, network addresses, bits and the other geometric types are text:
ClickHouse has no type that holds all their values, or none whose order and arithmetic are PostgreSQL's. (Its rings,
lines and polygons do not tell an open path from a closed one, and have no line, box or circle.) \`sparsevec\` is text, since
as an array it would be as long as its dimensions, up to a billion.

Where Debezium reads the rows (ClickHouse cannot reach the source), a table with a \`refcursor\` is not
loaded: JDBC would open the cursor.

**Columns** can be treated otherwise in cdc.yaml; \`cdc doctor\` checks the names:

\`\`\`yaml
tables:
  shop.users: # wildcards work: "*.users"
    columns:
      password: exclude # in no topic, log or table; with PostgreSQL 15 or later it does not leave the source at all
      email: mask # only the SHA-256 of its text does; it has no salt, so few possible values can be guessed
      born: text # as PostgreSQL prints it
\`\`\`

**What is excluded does not leave PostgreSQL**, from version 15 on: the publication names the other columns of such a
table. (What is masked does: Kafka Connect makes the digest.) Where that cannot be, Connect drops the values, and \`cdc
doctor\` says so and why (\`excluded-reaches-connect\`): with PostgreSQL 14, and under \`REPLICA IDENTITY FULL\`, hence
without a key and with a \`where\` over other columns than the key's. It has a price, since PostgreSQL does not let go of
a column that a publication names (\`columns-listed\` in \`cdc doctor\`):

| in the source, of such a table | PostgreSQL | what to do |
|---|---|---|
| \`ADD COLUMN\`, \`RENAME\`, \`SET NOT NULL\`, defaults; anything with the excluded column | does it | nothing |
| \`DROP COLUMN\` of another column | refuses: other objects depend on it | \`DROP COLUMN … CASCADE\`, which takes the table out of the publication |
| \`ALTER COLUMN … TYPE\` of another column | refuses: "cannot alter type of a column used by a publication WHERE clause" | before it, in one transaction: \`ALTER PUBLICATION cdc_cdc DROP TABLE ONLY shop.users\` |
| \`REPLICA IDENTITY FULL\`, or \`USING INDEX\` of an excluded column | does it, and refuses UPDATE and DELETE of the table until \`cdc apply\` has taken the list away | as above |

A table that has left the publication is taken in again by the agent (or \`cdc apply\`), and loaded. Whoever cannot have
this sets \`source: { column_lists: false }\`: then PostgreSQL sends all columns, and Connect drops what is excluded. For
one migration that works, too: set it, \`cdc apply\`, migrate, take it back.

A publication that belongs to somebody else stays as it is: \`cdc doctor\` has the owner's one statement, and
\`cdc init --sql\` writes lists. With those, a new column needs the owner, too (\`list-owner\`).

**What is excluded or masked stays so, whatever is renamed.** A rule is a column's, known by its number, and a
table's, known by its OID; under another name it holds on, which \`cdc doctor\` says (\`rule-follows\`) until cdc.yaml
says the new one. Between a change of the columns of such a table and the \`cdc apply\` that follows it (the agent's,
mostly), nothing of this table is sent, since the stream knows names only; then it is loaded again. A table that
somebody adds to the publication, and that an entry with such rules names, is not sent before an \`apply\` either. To
take a rule back, remove it from cdc.yaml.

**A type of your choice** is written as \`balance: { type: "Decimal(38, 9)" }\`. The rule is the same: where what
is stored does not give back the value, the exact text stands in \`_exact\`. \`doctor\` and \`plan\` refuse what cannot be:

| PostgreSQL | can be |
|---|---|
| smallint, integer, bigint, numeric | \`Decimal(P, S)\`, \`Float32\`, \`Float64\` (fits if it prints the same number), \`Int8\` … \`Int256\`, \`UInt8\` … \`UInt256\` |
| timestamp, timestamptz | \`DateTime64(0 … 6, 'Zone')\`, \`DateTime('Zone')\`, \`Date32\`, \`Date\` |
| date | \`Date\` |
| text, varchar, citext | \`LowCardinality(String)\` |

Not columns of the key, whose values have to stay different, nor \`JSON\`: ClickHouse throws at an object that has
a path twice, and an exception in a view would stop all tables of its queue. Changed on a live table, the rows
are loaded again; until they are, the column is empty.

Columns of the key can be text, but not left out or masked. Decide before the table is loaded first.

**Not carried** unless excluded or as text: ${TYPES_NOT_CARRIED.join(', ')}. What PostgreSQL prints
for them depends on the session's search_path. A table with such a column is a finding before anything
starts.

**In the stream**, all types but those that say "number", "true or false", "hexadecimal" or "text" below are sent by \`connectors/postgres-text\`, a converter of a few hundred lines beside Debezium, whose
own form of them loses information: it cuts microseconds in arrays, turns 24:00 into 00:00, arrays of
several dimensions into the name of a Java object, and leaves out arrays of money, intervals and
composites. A Kafka Connect that cdc does not run needs \`connectors/postgres-text/cdc-postgres-text.jar\` in
Debezium's plug-in folder, and \`-Duser.timezone=UTC\`.

| PostgreSQL | ClickHouse | sent by Debezium as | loaded by postgresql() | for verify, source = copy | what does not fit, and what stands in for it |
|---|---|---|---|---|---|
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
