import type pg from 'pg';
import type { Membership } from '../../core/membership.ts';

/** Undefined where there is no publication. */
export async function observeMembership(
  client: pg.ClientBase,
  publication: string,
): Promise<Membership | undefined> {
  const { rows } = await client.query<{ publication: string; oid: string | null; mark: string }>(
    `SELECT p.oid || '/' || p.xmin AS publication, r.prrelid::int8 AS oid, r.oid || '/' || r.xmin AS mark
       FROM pg_publication p LEFT JOIN pg_publication_rel r ON r.prpubid = p.oid
      WHERE p.pubname = $1`,
    [publication],
  );
  const [first] = rows;
  if (first === undefined) return undefined;
  const tables = rows.flatMap(({ oid, mark }) =>
    oid === null ? [] : [[Number(oid), mark] as const],
  );
  return { publication: first.publication, tables: new Map(tables) };
}
