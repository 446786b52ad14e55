import { describe, expect, it } from 'vitest';
import { connectSecrets, withEarlierNames } from '../../cli/core/connectSecrets.ts';

const made = (password: string, key = 'key') =>
  connectSecrets({ 'database.password': password }, key, 'etc/connector.properties');

describe('what a worker reads from a file', () => {
  it('is named in the configuration, and is not in it', () => {
    const { entries, references } = made('s3cret');
    const [name = ''] = Object.keys(entries);
    expect(entries).toEqual({ [name]: 's3cret' });
    expect(references).toEqual({
      'database.password': ['$', `{file:etc/connector.properties:${name}}`].join(''),
    });
    expect(JSON.stringify(references)).not.toContain('s3cret');
  });

  it('has the same name as long as it is the same', () => {
    expect(made('a')).toEqual(made('a'));
    expect(made('a').references).not.toEqual(made('b').references);
  });

  it('cannot be guessed from its name without the key', () => {
    expect(made('a', 'one').references).not.toEqual(made('a', 'two').references);
  });

  it('has what is true now under the names of before, too', () => {
    const [before, now] = [made('old').entries, made('new').entries];
    const [earlier = ''] = Object.keys(before);
    expect(withEarlierNames(`${earlier}=old\nother=x\n`, now)).toEqual({
      [earlier]: 'new',
      ...now,
    });
    expect(withEarlierNames('', now)).toEqual(now);
  });
});
