import type pg from 'pg';
import { Problem } from '../../core/problems.ts';

/** What only somebody else may do is theirs to run: the statement itself is the fix. */
export async function asOwner(
  client: Pick<pg.ClientBase, 'query'>,
  statement: string,
): Promise<void> {
  try {
    await client.query(statement);
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    if (code !== '42501') throw error;
    throw new Problem('SOURCE_NOT_OWNER', { detail: message, statement }, { cause: error });
  }
}
