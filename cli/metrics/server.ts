import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import { AGENT_USER } from '../stack/users.ts';

const BODY_LIMIT_BYTES = 1024 * 1024;
/** Of a request's line and headers. */
const HEADER_LIMIT_BYTES = 16 * 1024;
const REQUEST_LIMIT_MS = 10_000;
/** How often connections are looked at for that. */
const LOOK_MS = 2000;
const CONNECTION_LIMIT = 64;

export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** By method and path, such as `GET /metrics`. */
export type Routes = Readonly<Record<string, (body: string) => Promise<Answer> | Answer>>;

interface Place {
  readonly host: string;
  readonly port: number;
  readonly password: string;
  /** Told what a route threw: who asked is not. */
  readonly onError?: (error: Error) => void;
}

/**
 * The agent's small HTTP server. Nothing answers without the password.
 *
 * @returns a function that ends it.
 */
export async function serve(at: Place, routes: Routes): Promise<() => Promise<void>> {
  const expected = digest(
    `Basic ${Buffer.from(`${AGENT_USER}:${at.password}`).toString('base64')}`,
  );
  const options = { maxHeaderSize: HEADER_LIMIT_BYTES, connectionsCheckingInterval: LOOK_MS };
  const server = createServer(options, (request, response) => {
    handle(request, at, expected, routes).then(
      (answer) => send(response, answer),
      (error: Error) => {
        at.onError?.(error);
        send(response, plain(500, 'The agent could not answer: cdc logs agent'));
      },
    );
  });
  // A scraper that never ends its request holds nothing up.
  server.requestTimeout = REQUEST_LIMIT_MS;
  server.headersTimeout = REQUEST_LIMIT_MS;
  server.maxConnections = CONNECTION_LIMIT;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(at.port, at.host, resolve);
  });
  return () =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
}

async function handle(
  request: IncomingMessage,
  at: Place,
  expected: Buffer,
  routes: Routes,
): Promise<Answer> {
  if (!isNamedRightly(request.headers.host, at.host))
    return plain(421, 'The agent listens on this machine alone, under no other name.');
  if (!timingSafeEqual(digest(request.headers.authorization ?? ''), expected)) {
    return plain(401, 'The agent answers user cdc with its password: cdc env', {
      'WWW-Authenticate': 'Basic realm="cdc"',
    });
  }
  const path = (request.url ?? '/').split('?')[0];
  const route = routes[`${request.method} ${path}`];
  if (!route) return missing(`${path}`, routes);
  const body = await bodyOf(request);
  return body === undefined
    ? plain(413, 'That is too much.', { Connection: 'close' })
    : route(body);
}

/**
 * A page of somebody else's whose name was made to lead to this machine asks under that name (DNS rebinding). Where the
 * agent listens beyond loopback, its operator gives it what name he likes.
 */
function isNamedRightly(header: string | undefined, listens: string): boolean {
  if (!isLoopback(listens)) return true;
  const name = /^(.*?)(?::\d+)?$/.exec(header ?? '')?.[1] ?? '';
  return isLoopback(name.replace(/^\[(.*)\]$/, '$1'));
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

function missing(path: string, routes: Routes): Answer {
  const methods = Object.keys(routes)
    .map((route) => route.split(' '))
    .filter(([, known]) => known === path)
    .map(([method]) => method);
  return methods.length > 0
    ? plain(405, `It takes ${methods.join(', ')}.`, { Allow: methods.join(', ') })
    : plain(404, `There are ${Object.keys(routes).join(', ')}.`);
}

async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > BODY_LIMIT_BYTES) return undefined;
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_LIMIT_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function send(response: ServerResponse, { status, type, text, headers }: Answer): void {
  response.writeHead(status, {
    'Content-Type': type,
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...headers,
  });
  response.end(text);
}

function plain(status: number, text: string, headers: Answer['headers'] = {}): Answer {
  return { status, type: 'text/plain; charset=utf-8', text: `${text}\n`, headers };
}

/** Equal lengths, as a comparison in constant time wants them. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
