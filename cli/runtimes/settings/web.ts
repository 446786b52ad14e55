import { createHash } from 'node:crypto';
import { hashSync } from 'bcryptjs';
import { stringify } from 'yaml';
import { AGENT_USER } from '../../stack/users.ts';

/**
 * Who may come in, as all of Prometheus’ programs read it. The password has 144 random bits: a cost that
 * slows down guessing would only slow down every scrape, and a salt of its own leaves the file as it is.
 */
export function webConfig(password: string): string {
  const digest = createHash('sha256').update(password).digest('base64');
  const salt = digest.slice(0, 22).replaceAll('+', '.');
  return stringify({ basic_auth_users: { [AGENT_USER]: hashSync(password, `$2b$04$${salt}`) } });
}
