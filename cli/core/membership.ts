/**
 * How a publication has a table. PostgreSQL gives every row of its catalog that is written another `xmin`, and every
 * one that is made another OID: a table that left the publication and came back, and a publication that published no
 * updates for a moment, look as before, and their marks do not. Changes that passed meanwhile are in no WAL that
 * anybody sends.
 */
export interface Membership {
  /** Of the publication itself: its OID, and that of the transaction which wrote its options last. */
  readonly publication: string;
  /** Of tables that it names, by OID; those of a publication of all tables, or of a schema's, are not among them. */
  readonly tables: ReadonlyMap<number, string>;
}

/** What stands for a table in the publication; undefined where there is none. */
export function markOf(membership: Membership | undefined, oid: number): string | undefined {
  if (membership === undefined) return undefined;
  return `${membership.publication} ${membership.tables.get(oid) ?? '-'}`;
}
