import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { folder, parent, refusal, removeFolders, result, run } from './harness/backups.ts';
import { eventually } from './harness/database.ts';
import { type ForeignPostgres, foreignPostgres } from './harness/postgres.ts';

removeFolders();

describe("a stack whose source is the user's own", () => {
  const folders = ['own', 'moved', 'late'].map((name) => join(parent, name));
  const own = join(parent, 'own-backups');
  let source: ForeignPostgres;

  beforeAll(async () => {
    source = await foreignPostgres({});
    await using client = await source.connect();
    await client.query('CREATE SCHEMA shop');
    await client.query('CREATE TABLE shop.items (id int PRIMARY KEY, name text)');
    await client.query(
      "INSERT INTO shop.items SELECT g, 'item ' || g FROM generate_series(1, 1000) g",
    );
    writeFileSync(join(parent, 'source.password'), source.password);
    folder(
      'own',
      `source: { url: ${JSON.stringify(source.url())}, password_file: ../source.password, include: [shop.*] }`,
      `backup: { to: ${JSON.stringify(own)}, every: 1000h, source_slot: true }`,
    );
    for (const path of folders.slice(1)) mkdirSync(path);
  });
  afterAll(async () => {
    for (const cwd of folders) await run(cwd, ['down', '--delete-data']);
    await source?.[Symbol.asyncDispose]();
  });

  const change = async (...statements: string[]) => {
    await using client = await source.connect();
    for (const statement of statements) await client.query(statement);
  };

  it('goes on from its slot, where that has all that came after the backup', async () => {
    const [cwd = '', moved = ''] = folders;
    await result(cwd, 'up');
    await eventually(
      'a backup',
      1,
      async () => (await result(cwd, 'backup', 'list')).backups.length,
    );
    expect(await refusal(moved, ['restore', own])).toBe('RESTORE_SLOT_IN_USE');
    const made = await result(cwd, 'backup', 'create');
    expect(made.kind).toBe('incremental');
    await result(cwd, 'down', '--delete-data');
    await change(
      "UPDATE shop.items SET name = 'changed' WHERE id <= 500",
      'DELETE FROM shop.items WHERE id > 900',
    );
    const restored = await result(moved, 'restore', own);
    expect(restored).toMatchObject({ goes_on: true, verification: { ok: true, left_out: [] } });
    expect(restored.restored_to).toBeUndefined();
  });

  it('is loaded again where the slot has passed the backup, deletes of the time between included', async () => {
    const [, moved = '', late = ''] = folders;
    await change(
      'DELETE FROM shop.items WHERE id < 100',
      "INSERT INTO shop.items SELECT g, 'late ' || g FROM generate_series(2000, 2500) g",
    );
    expect((await result(moved, 'verify')).ok).toBe(true);
    await result(moved, 'down', '--delete-data');
    const [backup] = (await result(moved, 'backup', 'list', own)).backups;
    const restored = await result(late, 'restore', join(own, backup.id));
    expect(restored).toMatchObject({ goes_on: false, verification: { ok: true, left_out: [] } });
    await change("UPDATE shop.items SET name = 'again' WHERE id = 2000");
    expect((await result(late, 'verify')).ok).toBe(true);
  });
});
