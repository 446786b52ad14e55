import type pg from 'pg';
import { withPostgres } from '../../components/postgres/client.ts';
import { endReader } from '../../components/postgres/observe.ts';
import { chosen } from '../../core/chaos.ts';
import { pgIdent } from '../../lib/sql.ts';
import { pause, waitFor } from '../../lib/wait.ts';
import type { Fault, Ground } from '../ground.ts';
import { OWN_TABLES, SCHEMA } from '../tables.ts';

const GONE_MS = 60_000;
const publishAll = "SET (publish = 'insert, update, delete, truncate')";

function atSource<T>(ground: Ground, work: (client: pg.Client) => Promise<T>): Promise<T> {
  return withPostgres(ground.stack.endpoints.postgres, work);
}

/** Its reader comes back at once: what needs it gone is tried until it was quicker. */
async function whileUnread(ground: Ground, what: string, statement: string, values: unknown[]) {
  await atSource(ground, (client) =>
    waitFor(what, { timeoutMs: GONE_MS, everyMs: 20, signal: ground.signal }, async () => {
      await endReader(client, ground.stack.names.slot);
      await client.query(statement, values);
      return { ready: true };
    }),
  );
}

const dropSlot = ({ stack: { names } }: Ground) =>
  ['the slot to be dropped', 'SELECT pg_drop_replication_slot($1)', [names.slot]] as const;

async function alter(ground: Ground, ...changes: string[]): Promise<void> {
  const publication = pgIdent(ground.stack.names.publication);
  await atSource(ground, async (client) => {
    for (const change of changes) await client.query(`ALTER PUBLICATION ${publication} ${change}`);
  });
}

/** The publication has only some kinds of changes for a while, and is put right. */
function publishes(name: string, kinds: string, summary: string, told: string): Fault {
  return {
    name,
    summary,
    servers: ['postgres'],
    async play(ground, chance) {
      const ms = chosen(chance, 300, 2000);
      await alter(ground, `SET (publish = '${kinds}')`);
      await pause(ms);
      await alter(ground, publishAll);
      return `${told} published for ${ms} ms`;
    },
  };
}

export const SOURCE_FAULTS: readonly Fault[] = [
  {
    name: 'end-walsender',
    summary: 'the connection over which Debezium reads WAL is ended by the server',
    servers: ['postgres'],
    async play(ground) {
      await atSource(ground, (client) => endReader(client, ground.stack.names.slot));
      return 'the walsender was ended';
    },
  },
  {
    name: 'end-sessions',
    summary: 'all sessions of PostgreSQL ended',
    servers: ['postgres'],
    async play(ground) {
      await atSource(ground, (client) =>
        client.query(
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type IN ('client backend', 'walsender')",
        ),
      );
      return 'all sessions were ended';
    },
  },
  {
    name: 'drop-slot',
    summary: 'the replication slot is dropped',
    servers: ['postgres'],
    mend: 'apply',
    async play(ground) {
      const [what, statement, [slot]] = dropSlot(ground);
      await whileUnread(ground, what, statement, [slot]);
      return 'the slot was dropped';
    },
  },
  {
    name: 'remake-slot',
    summary: 'the replication slot is dropped, and made again by hand',
    servers: ['postgres'],
    mend: 'apply',
    async play(ground, chance) {
      const { slot } = ground.stack.names;
      const [what, statement] = dropSlot(ground);
      await whileUnread(ground, what, statement, [slot]);
      await pause(chosen(chance, 100, 2000), ground.signal).catch(() => {});
      await atSource(ground, (client) =>
        client.query(
          "SELECT pg_create_logical_replication_slot($1, 'pgoutput') WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $1)",
          [slot],
        ),
      );
      return 'the slot was dropped and made again by hand';
    },
  },
  {
    name: 'invalidate-slot',
    summary: 'the server gives up the slot, and its WAL, because nobody reads it (PostgreSQL 18)',
    servers: ['postgres'],
    mend: 'apply',
    async play(ground) {
      const { slot } = ground.stack.names;
      await ground.cdc('connector', 'pause');
      try {
        await atSource(ground, async (client) => {
          await client.query("ALTER SYSTEM SET idle_replication_slot_timeout = '1s'");
          await client.query('SELECT pg_reload_conf()');
          await waitFor(
            'the slot to be invalidated',
            { timeoutMs: GONE_MS, everyMs: 200, signal: ground.signal },
            async () => {
              await endReader(client, slot);
              await client.query('CHECKPOINT');
              const { rows } = await client.query<{ status: string }>(
                'SELECT wal_status AS status FROM pg_replication_slots WHERE slot_name = $1',
                [slot],
              );
              const status = rows[0]?.status ?? 'gone';
              return status === 'lost' ? { ready: true } : { seen: status };
            },
          );
        });
      } finally {
        await atSource(ground, async (client) => {
          await client.query('ALTER SYSTEM RESET idle_replication_slot_timeout');
          await client.query('SELECT pg_reload_conf()');
        });
        await ground.cdc('connector', 'resume');
      }
      return 'the slot was invalidated';
    },
  },
  {
    name: 'drop-publication',
    summary: 'the publication is dropped',
    servers: ['postgres'],
    async play(ground) {
      const publication = pgIdent(ground.stack.names.publication);
      await atSource(ground, (client) => client.query(`DROP PUBLICATION ${publication}`));
      return 'the publication was dropped';
    },
  },
  {
    name: 'republish-table',
    summary: 'a table leaves the publication and comes back',
    servers: ['postgres'],
    async play(ground, chance) {
      const table = OWN_TABLES[chosen(chance, 0, OWN_TABLES.length - 1)]?.table ?? '';
      const name = `${SCHEMA}.${pgIdent(table)}`;
      await alter(ground, `DROP TABLE ${name}`);
      await pause(100);
      // The agent can have put it back.
      await alter(ground, `ADD TABLE ${name}`).catch(() => {});
      return `${table} was out of the publication for 0.1 s`;
    },
  },
  publishes(
    'publish-inserts',
    'insert',
    "publish = 'insert' for a while, then put right",
    'nothing but inserts was',
  ),
  publishes(
    'publish-no-deletes',
    'insert, update',
    'publish without delete for a while, then put right',
    'no deletes were',
  ),
];
