import { Problem } from '../core/problems.ts';
import { SSL_MODES, type SslMode } from '../stack/endpoints.ts';

/** What `source.url` may have as a parameter, as in libpq; one that would be ignored is refused. */
const SOURCE_PARAMETERS = [
  'host',
  'port',
  'user',
  'password',
  'passfile',
  'dbname',
  'sslmode',
  'sslrootcert',
  'sslcert',
  'sslkey',
] as const;
type SourceParameter = (typeof SOURCE_PARAMETERS)[number];
type Given = ReadonlyMap<SourceParameter, string>;

export interface SourceAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string | undefined;
  /** File of lines `host:port:database:user:password`. */
  readonly passfile: string | undefined;
  readonly database: string;
  readonly sslmode: SslMode | undefined;
  /** Files of libpq's names. */
  readonly tls: Readonly<Record<'ca_file' | 'cert_file' | 'key_file', string | undefined>>;
}

/** As libpq reads it: a URI, or words `key = value`. */
export function sourceAddress(text: string): SourceAddress {
  const given = isUri(text) ? uriParameters(text) : wordParameters(text);
  const of = (name: SourceParameter) => given.get(name) || undefined;
  const host = of('host') ?? 'localhost';
  const refused = unusableHost(host);
  if (refused) throw invalidKey('source.url', refused);
  const port = Number(of('port') ?? 5432);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw invalidKey('source.url', `${given.get('port')} is no port`);
  const user = of('user') ?? 'postgres';
  const sslmode = of('sslmode');
  if (sslmode !== undefined && !isSslMode(sslmode))
    throw invalidKey('source.url', `sslmode ${sslmode} is none of ${SSL_MODES.join(', ')}`);
  return {
    host,
    port,
    user,
    password: of('password'),
    passfile: of('passfile'),
    database: of('dbname') ?? user,
    sslmode,
    tls: { ca_file: of('sslrootcert'), cert_file: of('sslcert'), key_file: of('sslkey') },
  };
}

/** The password of a line of libpq's password file that fits; `*` fits everything, a backslash takes a sign literally. */
export function passwordOf(
  passfile: string,
  { host, port, database, user }: Pick<SourceAddress, 'host' | 'port' | 'database' | 'user'>,
): string | undefined {
  const wanted = [host, String(port), database, user];
  for (const line of passfile.split(/\r?\n/)) {
    if (line.startsWith('#')) continue;
    const fields = [...line.matchAll(/((?:\\.|[^:\\])*)(?::|$)/g)].map((found) => found[1] ?? '');
    const fits = wanted.every((value, i) => fields[i] === '*' || unescaped(fields[i]) === value);
    if (fits && fields[4] !== undefined) return unescaped(fields[4]);
  }
  return undefined;
}

function unescaped(text = ''): string {
  return text.replaceAll(/\\(.)/g, '$1');
}

function isUri(text: string): boolean {
  return /^postgres(ql)?:\/\//.test(text);
}

function isSslMode(text: string): text is SslMode {
  return SSL_MODES.some((mode) => mode === text);
}

const URI = /^postgres(?:ql)?:\/\/([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/s;

/** A parameter after the `?` counts where the part of the address itself is empty. */
function uriParameters(text: string): Given {
  // A URL's path would lose a database called `..`, and what follows a `#`, which is a sign like others for libpq.
  const [, authority = '', path = '', query = ''] = URI.exec(text) ?? [];
  // Each with its port, they are no URL. What stands there may be a part of a password.
  if (authority.slice(authority.lastIndexOf('@') + 1).includes(','))
    throw invalidKey('source.url', SEVERAL_HOSTS);
  const url = parseUrl('source.url', `postgres://${authority.replaceAll('#', '%23')}`);
  const given = new Map<SourceParameter, string>();
  for (const pair of query.split('&').filter(Boolean)) {
    const at = pair.indexOf('=');
    const name = decoded(at < 0 ? pair : pair.slice(0, at));
    given.set(known(name), at < 0 ? '' : decoded(pair.slice(at + 1)));
  }
  const parts: readonly (readonly [SourceParameter, string])[] = [
    ['host', url.hostname.replace(/^\[|\]$/g, '')],
    ['port', url.port],
    ['user', decoded(url.username)],
    ['password', decoded(url.password)],
    ['dbname', decoded(path)],
  ];
  for (const [name, value] of parts) if (value !== '') given.set(name, value);
  return given;
}

const WORD = /\s*(\w+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)*))(?=\s|$)/y;

/** `host=db port=5432 password='it\'s'` */
function wordParameters(text: string): Given {
  const given = new Map<SourceParameter, string>();
  WORD.lastIndex = 0;
  while (text.slice(WORD.lastIndex).trim() !== '') {
    const at = WORD.lastIndex;
    const found = WORD.exec(text);
    // What stands there may be a part of a password.
    if (!found) throw invalidKey('source.url', `no word key=value at its character ${at + 1}`);
    given.set(known(found[1] ?? ''), unescaped(found[2] ?? found[3]));
  }
  return given;
}

function known(name: string): SourceParameter {
  const found = SOURCE_PARAMETERS.find((one) => one === name);
  if (found) return found;
  throw invalidKey(
    'source.url',
    `cdc does not know its parameter ${name} (it knows ${SOURCE_PARAMETERS.join(', ')})`,
  );
}

const SEVERAL_HOSTS = 'it names several hosts; name the one that is the primary';

/** Why Debezium could not connect there; undefined when it can. */
function unusableHost(host: string): string | undefined {
  if (host.startsWith('/'))
    return `${host} is the folder of a socket, and Debezium connects by TCP only; name a host`;
  if (host.includes(',')) return SEVERAL_HOSTS;
  if (host.includes(':'))
    return `Debezium takes no IPv6 address (${host}); give it a name, such as a line in /etc/hosts, and write that`;
  return undefined;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalidKey('source.url', 'it has a % that starts no escape; write %25 for a % itself');
  }
}

export function invalidKey(key: string, what: string): Problem {
  return new Problem('CONFIG_INVALID', {
    file: 'cdc.yaml',
    count: '1 problem',
    detail: `${key}: ${what}`,
  });
}

export function serverUrl(key: 'connect' | 'clickhouse', text: string): string {
  const url = parseUrl(`${key}.url`, text);
  if (url.username || url.password) {
    throw invalidKey(
      `${key}.url`,
      `put the user into ${key}.username and the password into CDC_${key.toUpperCase()}_PASSWORD`,
    );
  }
  return url.href.replace(/\/$/, '');
}

function parseUrl(key: string, text: string): URL {
  try {
    return new URL(text);
  } catch {
    throw invalidKey(
      key,
      'not a URL (characters such as @ : / in a user or password must be %-encoded)',
    );
  }
}
