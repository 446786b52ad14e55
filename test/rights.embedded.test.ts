import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runCommand } from './harness/cli.ts';
import { foreignPostgres } from './harness/postgres.ts';
import { describeRights } from './harness/rights.ts';

// The oldest and the newest that are supported; those between are in rights.long.test.ts.
describeRights(14);
describeRights(18);

test('an owner who is no superuser can run the script, and what partitions and generated columns need is a finding', async () => {
  await using server = await foreignPostgres({});
  await using admin = await server.connect();
  await admin.query(`CREATE ROLE landlord LOGIN CREATEROLE REPLICATION PASSWORD 'owner'`);
  await admin.query('CREATE DATABASE house OWNER landlord');
  await using owner = await server.connect({
    user: 'landlord',
    password: 'owner',
    database: 'house',
  });
  await owner.query(`
    CREATE SCHEMA h;
    CREATE TABLE h.rooms (id int PRIMARY KEY) PARTITION BY RANGE (id);
    CREATE TABLE h.rooms_low PARTITION OF h.rooms FOR VALUES FROM (0) TO (100);
    CREATE TABLE h.sums (id int PRIMARY KEY, a int, twice int GENERATED ALWAYS AS (a * 2) STORED)`);
  const cwd = mkdtempSync(join(tmpdir(), 'cdc-rights-'));
  try {
    const as = (user: string) => server.url({ user, database: 'house' });
    const made = await runCommand(
      ['init', '--sql', '--role', 'tenant', '--source', as('landlord')],
      {
        cwd,
        env: { CDC_SOURCE_PASSWORD: 'owner' },
      },
    );
    await owner.query(made.stdout);
    await owner.query(`ALTER ROLE tenant PASSWORD 'tenant'`);
    writeFileSync(join(cwd, 'cdc.yaml'), `ports: auto\nsource: { url: '${as('tenant')}' }\n`);
    const found = async () => {
      const ran = await runCommand(['doctor', '--json'], {
        cwd,
        env: { CDC_SOURCE_PASSWORD: 'tenant' },
      });
      const { findings } = ran.json() as {
        findings: { id: string; severity: string; subject: string; fix: string }[];
      };
      return findings.filter(
        ({ severity, id }) => severity !== 'info' && !id.startsWith('machine'),
      );
    };
    expect(await found()).toEqual([]);
    for (const [option, id, subject] of [
      ['publish_via_partition_root = false', 'publication-partitions', 'h.rooms'],
      ['publish_generated_columns = none', 'publication-generated', 'h.sums'],
    ]) {
      await owner.query(`ALTER PUBLICATION cdc_cdc SET (${option})`);
      const [one, ...others] = await found();
      expect(one).toMatchObject({ id, subject });
      expect(others).toEqual([]);
      await owner.query(one?.fix ?? '');
      expect(await found()).toEqual([]);
    }
    // The slot that the pipeline would have made is not there.
    const undo = made.stdout
      .slice(made.stdout.indexOf('-- To undo'))
      .trimEnd()
      .split('\n')
      .slice(2);
    for (const line of undo) await owner.query(line.replace(/^-- /, ''));
    const roles = await owner.query(`SELECT FROM pg_roles WHERE rolname = 'tenant'`);
    expect(roles.rowCount).toBe(0);
  } finally {
    rmSync(cwd, { recursive: true, force: true });
  }
});
