import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { passwordOf, sourceAddress } from '../../cli/runtimes/addresses.ts';

const quoted = (text: string) => `'${text.replaceAll(/[\\']/g, '\\$&')}'`;

describe('source.url, as libpq reads it', () => {
  it('is the same as a URI and as words, whatever signs a user, a password and a database have', () => {
    const text = fc.string({ minLength: 1, unit: 'grapheme' }).filter((t) => !t.includes('\0'));
    fc.assert(
      fc.property(text, text, text, (user, password, dbname) => {
        const uri = sourceAddress(
          `postgres://${[user, password].map(encodeURIComponent).join(':')}@db.example:6000/${encodeURIComponent(dbname)}`,
        );
        const words = sourceAddress(
          `host=db.example port = 6000 user=${quoted(user)} password=${quoted(password)} dbname=${quoted(dbname)}`,
        );
        const parameters = Object.entries({ user, password, dbname }).map(
          ([key, value]) => `${key}=${encodeURIComponent(value)}`,
        );
        const bare = sourceAddress(
          `postgresql://?host=db.example&port=6000&${parameters.join('&')}`,
        );
        expect(uri).toMatchObject({ user, password, database: dbname });
        expect(words).toEqual(uri);
        expect(bare).toEqual(uri);
      }),
      {
        examples: [
          ['.', '.', '.'],
          ['..', '#', '..'],
        ],
      },
    );
  });

  it('takes a # as a sign like others', () => {
    expect(sourceAddress('postgres://me:a#b@db/c#d?sslmode=require')).toMatchObject({
      host: 'db',
      password: 'a#b',
      database: 'c#d',
      sslmode: 'require',
    });
  });

  it('has what it leaves out from libpq’s defaults', () => {
    expect(sourceAddress('host=db')).toMatchObject({
      host: 'db',
      port: 5432,
      user: 'postgres',
      database: 'postgres',
      sslmode: undefined,
    });
  });

  it('keeps a + of a parameter, as libpq does', () => {
    expect(sourceAddress('postgres://db/?user=a+b').user).toBe('a+b');
  });

  it.each([
    ['postgres://db/?service=shop', 'service'],
    ['host=a,b', 'several hosts'],
    ['postgres://me:open@a:5432,b:5433/shop', 'several hosts'],
    ['postgres://me:open,/sesame@a/shop', 'source.url'],
    ['host=/run/postgresql', 'socket'],
    ['host=::1', 'IPv6'],
    ['host=db sslmode=sure', 'sslmode sure'],
    ['host=db port=high', 'no port'],
    ['host=db port=5432 what', 'no word key=value'],
    ["host=db password='open", 'no word key=value'],
  ])('%s is refused by name', (text, said) => {
    let message = '';
    try {
      sourceAddress(text);
    } catch (error) {
      message = String((error as { causeText?: string }).causeText);
    }
    expect(message).toContain(said);
    expect(message).not.toContain('open');
  });
});

describe('a password file', () => {
  const at = { host: 'db', port: 5432, database: 'a:b', user: 'me' };

  it.each([
    ['db:5432:a\\:b:me:se\\:cr\\\\et', 'se:cr\\et'],
    ['# db:*:*:*:no\n*:*:*:you:no\n*:*:*:me:yes', 'yes'],
    ['db:5433:*:me:no', undefined],
    ['', undefined],
  ])('%j gives %j', (text, password) => {
    expect(passwordOf(text, at)).toBe(password);
  });
});
