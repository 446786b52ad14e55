import type pg from 'pg';
import { isUsable, observeSlot } from '../components/postgres/observe.ts';
import { dropSlotStatement } from '../components/postgres/prepare.ts';
import type { Manifest } from '../core/backups.ts';
import { parseLsn } from '../core/lsn.ts';
import type { PipelineNames } from '../core/names.ts';
import { Problem } from '../core/problems.ts';

type Names = Pick<PipelineNames, 'slot'>;

/** The pipeline's slot moves on after a backup; a copy of it, made before, keeps what came since (backup.source_slot). */
function prefixOf({ slot }: Names): string {
  return `${slot.slice(0, 40)}_at_`;
}

function keptSlot(names: Names, id: string): string {
  return `${prefixOf(names)}${id.toLowerCase()}`;
}

export async function keepChanges(client: pg.ClientBase, names: Names, id: string): Promise<void> {
  await client.query('SELECT pg_copy_logical_replication_slot($1, $2)', [
    names.slot,
    keptSlot(names, id),
  ]);
}

/** Those of earlier backups, and of some that did not come to their end. */
export async function forgetOlder(
  client: pg.ClientBase,
  names: Names,
  id: string | undefined,
): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    'SELECT slot_name AS name FROM pg_replication_slots WHERE starts_with(slot_name, $1) AND NOT active',
    [prefixOf(names)],
  );
  for (const { name } of rows)
    if (id === undefined || name !== keptSlot(names, id))
      await client.query(dropSlotStatement(name));
}

/**
 * Brings the pipeline's slot to where the backup was: then all that the backup lacks is sent, and what it has may come
 * again. Where no slot has that, the pipeline's goes, so that `apply` makes one and loads the tables.
 *
 * @returns whether changes go on from the backup.
 */
export async function settleSlot(
  client: pg.ClientBase,
  names: Names,
  { id, positions }: Manifest,
): Promise<boolean> {
  const slot = await observeSlot(client, names.slot);
  if (slot?.active) throw new Problem('RESTORE_SLOT_IN_USE', { slot: names.slot });
  const kept = keptSlot(names, id);
  const source = await observeSlot(client, kept);
  const goesOn =
    isUsable(source) &&
    source.confirmedFlushLsn !== undefined &&
    positions.copied !== undefined &&
    source.confirmedFlushLsn <= parseLsn(positions.copied);
  if (slot) await client.query(dropSlotStatement(names.slot));
  if (goesOn)
    await client.query('SELECT pg_copy_logical_replication_slot($1, $2)', [kept, names.slot]);
  return goesOn;
}
