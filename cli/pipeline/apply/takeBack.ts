import type pg from 'pg';
import { driverError, withPostgres } from '../../components/postgres/client.ts';
import { dropSlotStatement } from '../../components/postgres/prepare.ts';
import { blockerWatch, type OnWait } from '../../components/postgres/transactions.ts';
import { type Watch, watched } from '../../components/postgres/watched.ts';
import { ownTablesOf, tableLabel } from '../../core/names.ts';
import { errorText } from '../../core/problems.ts';
import type { StepOf } from '../../core/steps.ts';
import { pgIdent } from '../../lib/sql.ts';
import { within } from '../../lib/wait.ts';
import type { LoadEvents } from '../load/events.ts';
import { asOwner } from '../state/asOwner.ts';
import type { Stack } from '../state/stack.ts';

const IS_THERE = '42710';
const IS_THERE_SQL = {
  ofSlot: 'SELECT 1 FROM pg_replication_slots WHERE slot_name = $1',
  ofPublication: 'SELECT 1 FROM pg_publication WHERE pubname = $1',
};

/** It follows what went wrong, or somebody's Ctrl-C, so it must not take long. */
const TAKE_BACK_MS = 10_000;

/** What one run has made in the source. What was there before it is never in it. */
export class Made {
  /** The connector was handed to Kafka Connect, whatever became of that. */
  connector = false;
  slot = false;
  publication = false;
  /** What undoes our own tables, in order. */
  ownTables: readonly string[] = [];
  /** The schema that has them. */
  private readonly own: string;

  constructor(own: string) {
    this.own = own;
  }

  /** Runs statements that may wait for locks, and tells for whose. */
  async inSource(
    steps: readonly (StepOf<'source-tables'> | StepOf<'publication'>)[],
    watch: Watch,
    onWait: OnWait,
  ): Promise<void> {
    for (const { kind, sql, action, object } of steps) {
      if (kind === 'source-tables') await this.noteOwnTables(watch.client);
      const isMade = kind === 'publication' && action === 'create';
      const what = `${action} ${object}`;
      const look = blockerWatch(watch.watcher, (who) => onWait(`${what}: waiting for ${who}`));
      for (const statement of sql) {
        const run = () => watched(watch, what, look, () => asOwner(watch.client, statement));
        await (isMade ? this.noted('publication', run) : run());
      }
    }
  }

  theSlot<T>(making: () => Promise<T>): Promise<T> {
    return this.noted('slot', making);
  }

  /** The server may go on with it when its client has given up, so it counts from the beginning. */
  private async noted<T>(what: 'slot' | 'publication', making: () => Promise<T>): Promise<T> {
    this[what] = true;
    try {
      return await making();
    } catch (error) {
      // Somebody else was quicker, and it is theirs.
      if (driverError(error).code === IS_THERE) this[what] = false;
      throw error;
    }
  }

  /** Before they are made, of which some may be there. */
  private async noteOwnTables(client: pg.ClientBase): Promise<void> {
    const { rows } = await client.query<{ name: string | null }>(
      `SELECT c.relname AS name FROM pg_namespace n LEFT JOIN pg_class c ON c.relnamespace = n.oid WHERE n.nspname = $1`,
      [this.own],
    );
    const present = new Set(rows.map(({ name }) => name));
    this.ownTables = [
      ...ownTablesOf(this.own)
        .filter(({ table }) => !present.has(table))
        .map((id) => `DROP TABLE IF EXISTS ${pgIdent(id.schema, id.table)}`),
      // Not with what somebody has put into it meanwhile.
      ...(rows.length === 0 ? [`DROP SCHEMA IF EXISTS ${pgIdent(this.own)}`] : []),
    ];
  }
}

/**
 * After a run that ended before the connector was there: a slot that nobody reads keeps WAL until the disk is full,
 * and who does not come back should find the source as it was. Once the connector is there the next run goes on,
 * and the slot holds the changes that it has to go on with.
 */
export async function takeBack(
  stack: Stack,
  made: Made,
  remark: NonNullable<LoadEvents['remark']>,
): Promise<void> {
  const { slot, publication, own } = stack.names;
  const drop = `${dropSlotStatement(slot)};`;
  if (made.connector) {
    if (made.slot)
      remark(
        `slot ${slot} stays: the connector reads it, and the same command, run again, goes on. To give up: cdc connector delete, then ${drop} until then it keeps WAL`,
      );
    return;
  }
  if (!made.slot && !made.publication && made.ownTables.length === 0) return;
  const taken: string[] = [];
  try {
    await within(TAKE_BACK_MS, () =>
      withPostgres(stack.endpoints.postgres, async (client) => {
        await client.query(`SET lock_timeout = ${TAKE_BACK_MS / 2}`);
        const isThere = async (sql: string, name: string) =>
          (await client.query(sql, [name])).rowCount === 1;
        const { ofSlot, ofPublication } = IS_THERE_SQL;
        if (made.slot && (await isThere(ofSlot, slot))) {
          await client.query(dropSlotStatement(slot));
          taken.push(`slot ${slot}`);
        }
        if (made.publication && (await isThere(ofPublication, publication))) {
          await client.query(`DROP PUBLICATION ${pgIdent(publication)}`);
          taken.push(`publication ${publication}`);
        }
        for (const statement of made.ownTables) await client.query(statement);
        if (made.ownTables.length > 0) taken.push(ownTablesOf(own).map(tableLabel).join(' and '));
      }),
    );
  } catch (error) {
    const slotStays = made.slot && taken.length === 0;
    remark(
      `what this run has made in the source could not be taken back: ${errorText(error)}${slotStays ? ` The slot keeps WAL: ${drop}` : ''}`,
    );
  }
  if (taken.length > 0) remark(`taken back: ${taken.join(', ')}`);
}
