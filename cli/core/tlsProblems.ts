import { EXIT, entry } from './problemEntry.ts';

/** What a user can meet with TLS, on the way to any of the servers. */
export const TLS_PROBLEMS = {
  TLS_UNTRUSTED: entry(
    EXIT.refused,
    'The certificate of {server} at {endpoint} is signed by nobody whom this machine knows.',
    '{detail}',
    '{key}.ca_file: /path/to/ca.pem   # in cdc.yaml: the CA that signed it',
  ),
  TLS_NAME: entry(
    EXIT.refused,
    'The certificate of {server} at {endpoint} is for another name.',
    '{detail}',
    '{nameFix}',
  ),
  TLS_EXPIRED: entry(
    EXIT.refused,
    'The certificate of {server} at {endpoint} is not valid today.',
    '{detail}',
    'Renew it on that server; `date -u` shows whether the clock of this machine is right.',
  ),
  TLS_CLIENT_REFUSED: entry(
    EXIT.refused,
    '{server} at {endpoint} did not accept the certificate of cdc, or wants one.',
    '{detail}',
    '{key}.cert_file: /path/to/client.pem and {key}.key_file: /path/to/client.key   # in cdc.yaml: of a CA that it knows',
  ),
  TLS_NOT_SPOKEN: entry(
    EXIT.refused,
    '{server} at {endpoint} speaks no TLS.',
    '{detail}',
    '{plainFix}',
  ),
  SOURCE_UNVERIFIED: entry(
    EXIT.refused,
    'ClickHouse at {endpoint} is not known to look at the certificate of PostgreSQL, as {sslmode} wants it.',
    'It reads the source with libpq, which does so only where the environment of that server says it (PGSSLMODE, PGSSLROOTCERT, PGSSLCERT, PGSSLKEY).',
    'clickhouse.source_verified: true   # in cdc.yaml, once Environment=PGSSLMODE={sslmode} and PGSSLROOTCERT=/path/to/ca.pem stand in its systemd unit (or container)',
  ),
  TLS_WANTED: entry(
    EXIT.refused,
    '{server} at {endpoint} takes TLS only.',
    'cdc.yaml says nothing of TLS for it, and it cut the connection.',
    '{wantedFix}',
  ),
} as const;

/** How each server's part of cdc.yaml says it. */
const SERVERS = {
  source: {
    server: 'PostgreSQL',
    nameFix:
      "Use one of the certificate's names as the host in source.url; sslmode=verify-ca asks only who signed it.",
    plainFix:
      'sslmode=disable in source.url, if nobody can listen; else turn on ssl in that server',
    wantedFix: 'sslmode=verify-full in source.url, and source.ca_file',
  },
  kafka: {
    server: 'Kafka',
    nameFix:
      "Use the certificate's names in kafka.brokers and in the brokers' advertised.listeners.",
    plainFix: 'kafka.tls: false in cdc.yaml, or the port of a TLS listener in kafka.brokers',
    wantedFix: 'kafka: { tls: true }   # in cdc.yaml, and ca_file where the CA is your own',
  },
  connect: {
    server: 'Kafka Connect',
    nameFix: 'connect.server_name: <a name that the certificate has>   # in cdc.yaml',
    plainFix: 'http:// in connect.url, or the port that speaks TLS',
    wantedFix: 'https:// in connect.url',
  },
  clickhouse: {
    server: 'ClickHouse',
    nameFix: 'clickhouse.server_name: <a name that the certificate has>   # in cdc.yaml',
    plainFix: 'http:// in clickhouse.url, or the port that speaks TLS (8443)',
    wantedFix: 'https:// in clickhouse.url',
  },
} as const;
export type TlsServer = keyof typeof SERVERS;

/** As Node.js and OpenSSL say it; the client libraries keep only the text of it. */
const KINDS: readonly (readonly [code: keyof typeof TLS_PROBLEMS, text: RegExp])[] = [
  ['TLS_NAME', /ERR_TLS_CERT_ALTNAME_INVALID|does not match certificate's altnames/],
  [
    'TLS_EXPIRED',
    /CERT_HAS_EXPIRED|CERT_NOT_YET_VALID|certificate has expired|certificate is not yet valid/,
  ],
  [
    'TLS_UNTRUSTED',
    /SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER|CERT_SIGNATURE_FAILURE|CERT_UNTRUSTED|self.signed certificate|unable to verify the first certificate|unable to get (local )?issuer|certificate signature failure/i,
  ],
  [
    'TLS_NOT_SPOKEN',
    /wrong version number|packet length too long|does not support SSL|before secure TLS connection was established/i,
  ],
  [
    'TLS_CLIENT_REFUSED',
    /alert (certificate required|bad certificate|handshake failure|unknown ca|unsupported certificate|certificate expired|certificate unknown|access denied)|ALERT_CERTIFICATE_REQUIRED|requires a valid client certificate/i,
  ],
];

export interface TlsFault {
  readonly code: keyof typeof TLS_PROBLEMS;
  readonly params: Readonly<Record<string, string>>;
}

/** What an error of a connection says of TLS; undefined where it is about something else. */
export function tlsFault(
  server: TlsServer,
  endpoint: string,
  error: unknown,
): TlsFault | undefined {
  const {
    code = '',
    message = '',
    cause,
  } = error as {
    code?: string;
    message?: string;
    cause?: { message?: string };
  };
  const text = `${code} ${message} ${cause?.message ?? ''}`;
  const kind = KINDS.find(([, pattern]) => pattern.test(text));
  return (
    kind && { code: kind[0], params: { ...faultOf(server, endpoint), detail: message || code } }
  );
}

/** Of a server that cut a connection without TLS, and speaks it. */
export function tlsWanted(server: TlsServer, endpoint: string): TlsFault {
  return { code: 'TLS_WANTED', params: faultOf(server, endpoint) };
}

function faultOf(key: TlsServer, endpoint: string): Record<string, string> {
  return { key, endpoint, ...SERVERS[key] };
}
