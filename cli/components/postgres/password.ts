import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { Problem } from '../../core/problems.ts';
import { pgIdent, pgLiteral } from '../../lib/sql.ts';
import type { PostgresEndpoint } from '../../stack/endpoints.ts';
import { withPostgres } from './client.ts';

const ITERATIONS = 4096;

/**
 * Gives the role of an endpoint another password; one that it has already is left. The server gets what it keeps of a
 * password (RFC 5803), so that no log and no list of statements has the password itself.
 *
 * @param password of ASCII signs.
 */
export async function setPassword(endpoint: PostgresEndpoint, password: string): Promise<void> {
  const statement = `ALTER ROLE ${pgIdent(endpoint.user)} PASSWORD ${pgLiteral(verifier(password))}`;
  try {
    await withPostgres(endpoint, (client) => client.query(statement));
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    // An earlier run may have set it; where it has not, the first error says more.
    await withPostgres({ ...endpoint, password }, async () => undefined).catch(() => {
      throw error;
    });
  }
}

function verifier(password: string): string {
  const salt = randomBytes(16);
  const salted = pbkdf2Sync(password, salt, ITERATIONS, 32, 'sha256');
  const keyOf = (name: string) => createHmac('sha256', salted).update(name).digest();
  const stored = createHash('sha256').update(keyOf('Client Key')).digest('base64');
  const server = keyOf('Server Key').toString('base64');
  return `SCRAM-SHA-256$${ITERATIONS}:${salt.toString('base64')}$${stored}:${server}`;
}
