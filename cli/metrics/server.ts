import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { AGENT_USER } from '../stack/users.ts';

const BODY_LIMIT_BYTES = 1024 * 1024;

export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

/** By method and path, such as `GET /metrics`. */
export type Routes = Readonly<Record<string, (body: string) => Promise<Answer> | Answer>>;

/**
 * The agent's small HTTP server. Nothing answers without the password.
 *
 * @returns a function that ends it.
 */
export async function serve(
  at: { readonly host: string; readonly port: number; readonly password: string },
  routes: Routes,
): Promise<() => Promise<void>> {
  const expected = digest(
    `Basic ${Buffer.from(`${AGENT_USER}:${at.password}`).toString('base64')}`,
  );
  const server = createServer((request, response) => {
    handle(request, expected, routes).then(
      (answer) => send(response, answer),
      (error: Error) => send(response, plain(500, error.message)),
    );
  });
  // A scraper that never ends its request holds nothing up.
  server.requestTimeout = 10_000;
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

async function handle(request: IncomingMessage, expected: Buffer, routes: Routes): Promise<Answer> {
  if (!timingSafeEqual(digest(request.headers.authorization ?? ''), expected)) {
    return plain(401, 'The agent answers user cdc with its password: cdc env');
  }
  const path = (request.url ?? '/').split('?')[0];
  const route = routes[`${request.method} ${path}`];
  if (!route) return plain(404, `There are ${Object.keys(routes).join(', ')}.`);
  const body = await bodyOf(request);
  return body === undefined ? plain(413, 'That is too much.') : route(body);
}

async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    // Read to its end all the same: the connection is used again.
    if (bytes <= BODY_LIMIT_BYTES) chunks.push(chunk);
  }
  return bytes > BODY_LIMIT_BYTES ? undefined : Buffer.concat(chunks).toString('utf8');
}

function send(response: ServerResponse, { status, type, text }: Answer): void {
  const challenge = status === 401 ? { 'WWW-Authenticate': 'Basic realm="cdc"' } : {};
  response.writeHead(status, { 'Content-Type': type, ...challenge });
  response.end(text);
}

function plain(status: number, text: string): Answer {
  return { status, type: 'text/plain; charset=utf-8', text: `${text}\n` };
}

/** Equal lengths, as a comparison in constant time wants them. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
