import { cpSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ForeignPostgres, foreignPostgres } from './postgres.ts';

const SLOT = 'standby';

/**
 * A standby that follows a server and keeps its failover slots: https://www.postgresql.org/docs/current/logical-replication-failover.html
 * It has the server's passwords. The server is stopped for the copy.
 */
export async function standbyOf(primary: ForeignPostgres): Promise<ForeignPostgres> {
  {
    await using client = await primary.connect();
    await client.query('SELECT pg_create_physical_replication_slot($1)', [SLOT]);
    await client.query(`ALTER SYSTEM SET synchronized_standby_slots = '${SLOT}'`);
  }
  const copy = join(mkdtempSync(join(tmpdir(), 'cdc-standby-')), 'data');
  await primary.whileStopped((data) => cpSync(data, copy, { recursive: true }));
  writeFileSync(join(copy, 'standby.signal'), '');
  return foreignPostgres(
    {
      primary_conninfo: `host=127.0.0.1 port=${primary.port} user=postgres password=${primary.password} dbname=inventory`,
      primary_slot_name: SLOT,
      hot_standby_feedback: 'on',
      sync_replication_slots: 'on',
      synchronized_standby_slots: '',
    },
    undefined,
    { of: { data: copy, password: primary.password } },
  );
}
