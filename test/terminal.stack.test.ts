import { expect, inject, it } from 'vitest';
import { chIdent, pgIdent } from '../cli/lib/sql.ts';
import { runCommand } from './harness/cli.ts';
import { cdcJson, eventually, freshSchema, source, target } from './harness/database.ts';

/** Names and values that a terminal would obey, in a real database. */

const EVIL = '\u001b]52;c;ZXZpbA==\u0007\u001b[2J\r\u202e\u009b31m\u001b]8;;http://x\u0007';

const OBEYED =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what it is about
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;

/** Without the colours that a printer of ours makes. */
const plain = (text: string) =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what it is about
  text.replace(/\u001b\[(?:1|2|22|31|32|33|36|39)m/g, '');

it('names and values of the source do nothing to the terminal of who looks at the copy', async () => {
  await using client = await source();
  await using clickhouse = target();
  const schema = await freshSchema(client, 'terminal');
  const table = `t${EVIL}`.slice(0, 40);
  const column = `c${EVIL}`.slice(0, 40);
  const name = pgIdent(schema.name, table);
  try {
    await client.query(`CREATE TABLE ${name} (id int PRIMARY KEY, ${pgIdent(column)} text)`);
    await client.query(`INSERT INTO ${name} VALUES (1, $1)`, [EVIL]);
    const look = async (...argv: string[]) => {
      const ran = await runCommand(argv, {
        cwd: inject('stackDirectory'),
        // Without a line that is drawn again and again, which takes a terminal's own sequences.
        env: { ...inject('stackEnvironment'), TERM: 'dumb' },
        tty: true,
      });
      return plain(ran.stdout + ran.stderr);
    };
    for (const argv of [['plan', '--sql'], ['plan', '--json'], ['apply']])
      expect([argv, await look(...argv)]).toEqual([argv, expect.not.stringMatching(OBEYED)]);
    // A difference, so that the value itself is shown.
    const [row] = await clickhouse.rows<{ database: string; name: string }>(
      `SELECT database, name FROM system.tables WHERE database = '${schema.name}' AND name LIKE '%final'`,
    );
    const copied = chIdent(String(row?.database), String(row?.name));
    await eventually(
      'the row',
      1,
      async () => (await clickhouse.rows(`SELECT 1 FROM ${copied}`)).length,
    );
    await clickhouse.command(
      `INSERT INTO ${copied} (id, ${chIdent(column)}, _version, _deleted, _committed_at)
       VALUES (1, 'other', 9000000000000000000, 0, now64(6))`,
    );
    for (const argv of [
      ['status'],
      ['doctor'],
      ['verify'],
      ['verify', '--json'],
      ['dlq', 'list'],
      ['logs'],
    ])
      expect([argv, await look(...argv)]).toEqual([argv, expect.not.stringMatching(OBEYED)]);
  } finally {
    await schema.drop();
    await cdcJson('apply');
  }
});
