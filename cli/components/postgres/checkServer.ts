import { ALERTS } from '../../core/alerts.ts';
import type { Finding } from '../../core/findings.ts';
import { formatBytes } from '../../lib/format.ts';
import { pgIdentShown as pgIdent, pgLiteral } from '../../lib/sql.ts';
import type { CheckInput } from './checkPublication.ts';
import type { ObservedSlot, ObservedSource } from './observe.ts';
import { type Holder, TELL_AFTER_MS } from './transactions.ts';

const OLDEST_VERSION = 140_000;
/** Debezium puts a database's name into a JDBC URL as it stands. */
const NOT_IN_JDBC = /[+%?]/;

/** A slot that keeps this much WAL is reported before the server's own limit invalidates it. */
export const SLOT_WARNING_BYTES = ALERTS.CdcSlotGrowing.threshold;

function error(id: string, subject: string, message: string, fix: string): Finding {
  return { id, severity: 'error', subject, message, fix };
}

/** What can be known before anything is started. */
export function checkServer({
  observed,
  names,
}: Pick<CheckInput, 'observed' | 'names'>): Finding[] {
  const found: Finding[] = [];
  if (observed.version < OLDEST_VERSION) {
    found.push(
      error(
        'postgres-version',
        'postgres',
        `version ${Math.floor(observed.version / 10_000)} is too old; 14 or newer is needed`,
        'Upgrade PostgreSQL to 14 or newer.',
      ),
    );
  }
  if (observed.standby) {
    const { primary } = observed.standby;
    found.push(
      error(
        'source-standby',
        'postgres',
        'it is a standby, which takes no change: cdc makes a schema, a publication and a slot in the source',
        `Name the primary in source.url${primary ? `: ${primary}` : ''}.`,
      ),
    );
  }
  const [unaddressable] = NOT_IN_JDBC.exec(names.database) ?? [];
  if (unaddressable !== undefined) {
    found.push(
      error(
        'database-name',
        names.database,
        `Debezium cannot address a database with ${unaddressable} in its name: its driver reads it as part of a URL`,
        `ALTER DATABASE ${pgIdent(names.database)} RENAME TO …;  -- nobody may be connected to it`,
      ),
    );
  }
  if (observed.walLevel !== 'logical') {
    found.push(
      error(
        'wal-level',
        'postgres',
        `wal_level is ${observed.walLevel}; logical decoding needs logical`,
        'ALTER SYSTEM SET wal_level = logical;  -- then restart PostgreSQL (a managed service has a parameter for it, such as rds.logical_replication)',
      ),
    );
  }
  if (observed.slot) found.push(...checkSlot(observed.slot, names));
  else found.push(...checkRoom(observed), ...observed.holders.filter(isLong).map(holderFinding));
  return found;
}

/** A slot that is to be made, and what is to read it, need one that is free of each. */
function checkRoom({ slots, senders }: ObservedSource): Finding[] {
  const found: Finding[] = [];
  if (slots.held.length >= slots.max) {
    const unread = slots.held.filter(({ active }) => !active);
    const drops = unread.map(
      ({ name, retainedBytes }) =>
        `SELECT pg_drop_replication_slot(${pgLiteral(name)});  -- nobody reads it${retainedBytes === undefined ? '' : `; it keeps ${formatBytes(retainedBytes)} of WAL`}`,
    );
    const read = slots.held.length - unread.length;
    found.push(
      error(
        'replication-slots',
        'postgres',
        `all ${slots.max} replication slots (max_replication_slots) are in use: ${[...(read > 0 ? [`${read} are read`] : []), ...(unread.length > 0 ? [`nobody reads ${unread.map(({ name }) => name).join(', ')}`] : [])].join('; ')}`,
        [...drops, raise('max_replication_slots', slots.max)].join('\n'),
      ),
    );
  }
  if (senders.held.length >= senders.max) {
    const who = senders.held.length > 0 ? `: ${senders.held.join(', ')}` : '';
    found.push(
      error(
        'wal-senders',
        'postgres',
        `all ${senders.max} processes that send WAL (max_wal_senders) are in use${who}`,
        raise('max_wal_senders', senders.max),
      ),
    );
  }
  return found;
}

function raise(setting: string, from: number): string {
  return `ALTER SYSTEM SET ${setting} = ${from + 5};  -- then restart PostgreSQL`;
}

/** Others come and go while they are looked at. */
function isLong({ ageMs }: Holder): boolean {
  return ageMs >= TELL_AFTER_MS;
}

function holderFinding({ label, end }: Holder): Finding {
  return {
    id: 'transaction-open',
    severity: 'warning',
    subject: label.split(', ')[0] ?? label,
    message: `its transaction is open (${label}): the slot will wait until it ends`,
    fix: `${end}  -- or let it end by itself`,
  };
}

function checkSlot(
  slot: NonNullable<ObservedSource['slot']>,
  names: CheckInput['names'],
): Finding[] {
  if (slot.plugin !== 'pgoutput' || slot.database !== names.database) {
    return [
      error(
        'slot-foreign',
        names.slot,
        `a slot of this name exists for plugin ${slot.plugin}, database ${slot.database}`,
        'Set source.slot in cdc.yaml to another name.',
      ),
    ];
  }
  // A lost slot keeps nothing from being made right: the plan replaces it.
  if (slot.walStatus === 'unreserved') {
    return [
      {
        id: 'slot-unreserved',
        severity: 'warning',
        subject: names.slot,
        message: 'the slot is about to lose WAL that it needs',
        fix: 'cdc connector status   # is it running? then raise max_slot_wal_keep_size',
      },
    ];
  }
  const risk = slotAtRisk(slot);
  if (risk !== undefined) {
    return [
      {
        id: 'slot-retained',
        severity: 'warning',
        subject: names.slot,
        message: `the slot ${risk}${slot.active ? '' : '; nobody reads it'}`,
        fix: 'cdc connector status && cdc lag   # does the connector run, and does it catch up?',
      },
    ];
  }
  return [];
}

/** What a slot keeps that is too much, or too near to what PostgreSQL lets it keep; undefined where it is neither. */
export function slotAtRisk({ retainedBytes = 0, safeBytes }: ObservedSlot): string | undefined {
  const keeps = `keeps ${formatBytes(retainedBytes)} of WAL that the connector has not confirmed`;
  // More than half of the way.
  if (safeBytes !== undefined && retainedBytes > safeBytes)
    return `${keeps}; after ${formatBytes(Math.max(0, safeBytes))} more PostgreSQL invalidates it (max_slot_wal_keep_size)`;
  return retainedBytes > SLOT_WARNING_BYTES ? keeps : undefined;
}
