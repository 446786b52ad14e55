import { randomBytes } from 'node:crypto';
import { expect } from 'vitest';
import type { Finding } from '../../cli/core/findings.ts';
import type { Ran } from './cli.ts';
import { cdc, cdcJson, freshSchema, source, withTables } from './database.ts';
import { sent } from './leaks.ts';

export const EXCLUDED = { columns: { password: 'exclude' } };
export const COLUMNS = 'id int PRIMARY KEY, other text, password text, note text';

/** A schema of a file's own, and rules for the table of the present test. */
export class RuledSchema {
  name = '';
  rules: Record<string, unknown> = {};
  private drop = async (): Promise<void> => {};

  async create(): Promise<void> {
    await using client = await source();
    const { name, drop } = await freshSchema(client, 'lists');
    this.name = name;
    this.drop = drop;
  }

  async remove(): Promise<void> {
    await this.drop();
    await cdcJson('apply');
  }

  run(...argv: string[]): Promise<Ran> {
    return cdc(...argv, '--config', withTables(this.rules));
  }

  // biome-ignore lint/suspicious/noExplicitAny: a test says what it expects to find
  runJson(...argv: string[]): Promise<any> {
    return cdcJson(...argv, '--config', withTables(this.rules));
  }

  async sql(...statements: string[]): Promise<void> {
    await using client = await source();
    await client.query(`SET search_path = ${this.name}`);
    for (const statement of statements) await client.query(statement);
  }

  /** A table of a name of its own that is copied with this rule. */
  async made(columns = COLUMNS, rule: object = EXCLUDED, more = ''): Promise<string> {
    const name = `users_${randomBytes(3).toString('hex')}`;
    await this.sql(`CREATE TABLE ${name} (${columns})${more}`);
    this.rules = { [`${this.name}.${name}`]: rule };
    await this.runJson('apply');
    return `${this.name}.${name}`;
  }

  async proved(table: string, rows: number): Promise<void> {
    const verified = await this.run('verify', table, '--json');
    expect(verified.json(), verified.stderr).toMatchObject({ ok: true, rows, flowing: true });
  }

  /** What `doctor` finds about a table. */
  async findings(table: string): Promise<Finding[]> {
    const { findings } = (await this.run('doctor', '--json')).json() as { findings: Finding[] };
    return findings.filter(({ subject }) => subject === table || subject.startsWith(`${table}.`));
  }

  /** Messages of the schema's topics that hold a text. */
  async sentWith(text: string): Promise<string[]> {
    return (await sent(this.name)).filter((message) => message.includes(text));
  }
}

/** The columns that the publication names; undefined where it names none, or has no such table. */
export async function listed(table: string): Promise<string[] | undefined> {
  await using client = await source();
  const found = await client.query<{ names: string }>(
    `SELECT array_to_json(t.attnames) AS names FROM pg_publication_tables t JOIN pg_publication p USING (pubname)
       JOIN pg_publication_rel r ON r.prpubid = p.oid AND r.prrelid = $1::text::regclass
      WHERE p.pubname = 'cdc_cdc' AND t.schemaname || '.' || t.tablename = $1::text AND r.prattrs IS NOT NULL`,
    [table],
  );
  const [row] = found.rows;
  return row && (JSON.parse(row.names) as string[]);
}
