import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type OwnerScriptInput, ownerScript } from '../../cli/components/postgres/ownerScript.ts';
import { pgIdent, pgLiteral } from '../../cli/lib/sql.ts';

const SHOP: OwnerScriptInput = {
  role: 'reader',
  database: 'shop',
  publication: 'cdc_cdc',
  own: 'cdc',
  slot: 'cdc_cdc',
  tables: [{ schema: 'public', table: 'orders', where: '(total > 10)' }],
  omitted: [],
  identities: [],
  version: 180_000,
  generated: false,
};

/** The statements that run: comments are for whoever reads the script. */
function statements(sql: string): string {
  return sql
    .split('\n')
    .filter((line) => !line.startsWith('--'))
    .join('\n');
}

test('the script makes the role, its grants, schema cdc, the publication with all tables, and says how to undo it', () => {
  const sql = ownerScript(SHOP);
  for (const part of [
    'CREATE ROLE "reader" LOGIN',
    'GRANT CONNECT ON DATABASE "shop" TO "reader"',
    'GRANT SELECT ON "public"."orders" TO "reader"',
    'ALTER DEFAULT PRIVILEGES FOR ROLE %I',
    'CREATE SCHEMA IF NOT EXISTS "cdc"',
    'GRANT SELECT, INSERT, UPDATE, DELETE ON "cdc"."heartbeat", "cdc"."signal" TO "reader"',
    'CREATE PUBLICATION "cdc_cdc" FOR TABLE ONLY "public"."orders" WHERE ((total > 10)), ONLY "cdc"."heartbeat", ONLY "cdc"."signal" WITH (publish_via_partition_root = true)',
  ]) {
    expect(statements(sql)).toContain(part);
  }
  expect(statements(sql)).not.toMatch(/PASSWORD|DROP (ROLE|OWNED|SCHEMA|PUBLICATION)/);
  const undone = sql.slice(sql.indexOf('-- To undo'));
  for (const part of [
    'pg_drop_replication_slot',
    'DROP PUBLICATION',
    'DROP SCHEMA',
    'DROP OWNED',
    'DROP ROLE',
  ]) {
    expect(undone).toContain(part);
  }
});

test('before PostgreSQL 15 nothing in the script asks for a filter, and only where there are generated columns for those', () => {
  const plain = { ...SHOP, tables: [{ schema: 'public', table: 'orders' }] };
  expect(ownerScript({ ...plain, version: 140_000 })).not.toMatch(/prqual|prattrs/);
  expect(ownerScript({ ...plain, version: 150_000 })).toContain('prqual');
  expect(ownerScript(plain)).not.toContain('pubgencols');
  expect(ownerScript({ ...plain, generated: true })).toContain('pubgencols');
});

test('where columns are named the publication is made with them, and put right where it has others', () => {
  const listed = ['id', 'a "b", c)', `it's`];
  const sql = ownerScript({
    ...SHOP,
    tables: [{ schema: 'public', table: 'orders', listed, where: 'true' }],
  });
  const columns = `ONLY "public"."orders" ("id", "a ""b"", c)", "it's") WHERE (true)`;
  expect(sql).toContain(
    `CREATE PUBLICATION "cdc_cdc" FOR TABLE ${columns}, ONLY "cdc"."heartbeat"`,
  );
  expect(sql).toContain(
    `ALTER PUBLICATION "cdc_cdc" DROP TABLE ONLY "public"."orders"; ALTER PUBLICATION "cdc_cdc" ADD TABLE ${columns};`,
  );
  expect(sql).toContain(`<> ARRAY['id', 'a "b", c)', 'it''s']`);
});

test('whatever things are called, no name leaves its quotes, its block or its comment', () => {
  const several = (one: fc.Arbitrary<string>) =>
    fc.uniqueArray(one, { minLength: 1, maxLength: 3 });
  const name = fc
    .oneof(
      fc.string({ minLength: 1, unit: 'grapheme' }),
      fc.constantFrom(
        '$cdc$',
        'a"b',
        "it's",
        'Upper Case',
        'line\nbreak; DROP ROLE x; --',
        'return\rDROP ROLE x; --',
        '\\',
        '$cdc1$ $cdc$',
      ),
    )
    .filter((text) => !text.includes('\0'));
  fc.assert(
    fc.property(name, name, name, name, several(name), (role, schema, table, why, listed) => {
      const sql = ownerScript({
        ...SHOP,
        role,
        tables: [{ schema, table, listed }],
        omitted: [{ table, why }],
      });
      expect(sql).toContain(`GRANT SELECT ON ${pgIdent(schema, table)} TO ${pgIdent(role)};`);
      expect(sql).toContain(`rolname = ${pgLiteral(role)}`);
      expect(sql).toContain(`(${listed.map((column) => pgIdent(column)).join(', ')})`);
      // Each block ends where its own quotes end, and these are nowhere inside it.
      for (const [, tag = '', body = ''] of sql.matchAll(/^DO (\$cdc\d*\$) ([\s\S]*?)^END \1;/gm))
        expect(body).not.toContain(tag);
      // What follows the statements is comments, however PostgreSQL ends a line.
      const comments = sql.slice(sql.lastIndexOf('\n-- Not in it, since'));
      expect(comments.split(/[\r\n]/).every((line) => line === '' || line.startsWith('--'))).toBe(
        true,
      );
    }),
  );
});

test('makes the replica identity of tables without a key full before they are published, and only once', () => {
  const script = ownerScript({ ...SHOP, identities: ['"s"."no key"'] });
  const alter = script.indexOf('ALTER TABLE "s"."no key" REPLICA IDENTITY FULL');
  expect(alter).toBeGreaterThan(0);
  expect(alter).toBeLessThan(script.indexOf('CREATE PUBLICATION'));
  expect(script).toContain(`WHERE oid = '"s"."no key"'::regclass AND relreplident <> 'f'`);
  expect(script).toContain('-- ALTER TABLE "s"."no key" REPLICA IDENTITY DEFAULT;');
});
