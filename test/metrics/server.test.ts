import { once } from 'node:events';
import { connect } from 'node:net';
import axios from 'axios';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePort } from '../../cli/lib/ports.ts';
import { serve } from '../../cli/metrics/server.ts';

const password = 'right password: ü';
let url: string;
let end: () => Promise<void>;
let posted: string[] = [];
let errors: string[] = [];

beforeAll(async () => {
  const port = await freePort();
  const text = (body: string) => ({ status: 200, type: 'text/plain', text: body });
  end = await serve(
    { host: '127.0.0.1', port, password, onError: ({ message }) => errors.push(message) },
    {
      'GET /metrics': () => text('figures'),
      'POST /alerts': (body) => {
        posted = [...posted, body];
        return text('ok');
      },
      'GET /broken': () => {
        throw new Error('on purpose');
      },
    },
  );
  url = `http://127.0.0.1:${port}`;
});

afterAll(() => end());

function ask(path: string, given: string | undefined, body?: string) {
  return axios.request({
    url: `${url}${path}`,
    method: body === undefined ? 'GET' : 'POST',
    ...(body === undefined ? {} : { data: body }),
    ...(given === undefined ? {} : { auth: { username: 'cdc', password: given } }),
    proxy: false,
    validateStatus: () => true,
    maxBodyLength: Infinity,
  });
}

it('answers the password, and nothing but the password', async () => {
  expect((await ask('/metrics', password)).data).toBe('figures');
  for (const wrong of [undefined, '', 'right password']) {
    const refused = await ask('/metrics', wrong);
    expect(refused.status).toBe(401);
    expect(refused.headers['www-authenticate']).toContain('Basic');
    expect(refused.data).not.toContain('figures');
  }
  // A path that is not there is no way to learn which are.
  expect((await ask('/nothing', undefined)).status).toBe(401);
  expect((await ask('/nothing', password)).status).toBe(404);
});

it('takes what is posted, and not more than it can hold', async () => {
  expect((await ask('/alerts', password, 'one')).status).toBe(200);
  expect(posted).toEqual(['one']);
  expect((await ask('/alerts', password, 'x'.repeat(2 * 1024 * 1024))).status).toBe(413);
  expect(posted).toEqual(['one']);
});

/** What comes back for bytes that somebody sends, until the connection ends. */
async function raw(bytes: string | Uint8Array): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  let answer = '';
  socket.on('data', (chunk) => {
    answer += chunk.toString('latin1');
  });
  // A connection that is reset in the middle of a request is an answer, too.
  socket.on('error', () => {});
  socket.end(bytes);
  await once(socket, 'close');
  return answer;
}

const login = `Authorization: Basic ${Buffer.from(`cdc:${password}`).toString('base64')}`;
const request = (lines: readonly string[], body = '') =>
  [...lines, 'Connection: close', '', body].join('\r\n');

it('says nothing to who asks for it under a name of his own', async () => {
  const asked = (host: string) => raw(request(['GET /metrics HTTP/1.1', `Host: ${host}`, login]));
  for (const host of ['evil.example', '127.0.0.1.evil.example', '10.0.0.1', '[::2]:1', ''])
    expect(await asked(host)).toMatch(/^HTTP\/1\.1 421 /);
  for (const host of ['localhost', 'localhost:9464', '127.0.0.1:1', '[::1]:9464'])
    expect(await asked(host)).toMatch(/^HTTP\/1\.1 200 /);
});

it('takes each path with its methods', async () => {
  const answer = await axios.put(`${url}/metrics`, 'x', {
    auth: { username: 'cdc', password },
    validateStatus: () => true,
  });
  expect(answer.status).toBe(405);
  expect(answer.headers.allow).toBe('GET');
});

it('does not read on where a body says that it is too long', async () => {
  const lines = ['POST /alerts HTTP/1.1', 'Host: localhost', login];
  expect(await raw(request([...lines, 'Content-Length: 99999999999']))).toMatch(/^HTTP\/1\.1 413 /);
});

it('answers whatever is sent without falling over, and tells nothing', async () => {
  const word = fc.oneof(
    fc.constantFrom('GET', 'POST', 'OPTIONS', 'TRACE', '/metrics', '/broken', '/../etc', '*', ''),
    fc.string({ unit: 'binary', maxLength: 20 }),
  );
  const header = fc.oneof(
    fc.constantFrom(login, 'Host: localhost', 'Transfer-Encoding: chunked', 'Expect: 100-continue'),
    fc.constantFrom('Content-Length: -1', 'Content-Length: 5', 'Upgrade: h2c', 'Range: bytes=0-'),
    fc.tuple(word, word).map(([name, value]) => `${name}: ${value}`),
    fc.constant(`X: ${'y'.repeat(20_000)}`),
  );
  const wellFormed = fc
    .tuple(word, word, fc.array(header, { maxLength: 6 }), fc.string({ unit: 'binary' }))
    .map(([method, path, headers, body]) =>
      request([`${method} ${path} HTTP/1.1`, ...headers], body),
    );
  const bytes = fc.oneof(wellFormed, fc.uint8Array({ maxLength: 200 }));
  await fc.assert(
    fc.asyncProperty(bytes, async (sent) => {
      const answer = await raw(sent);
      expect(answer).not.toMatch(/ {4}at |node:|on purpose|right password/);
    }),
    { numRuns: 300 },
  );
  expect((await ask('/metrics', password)).data).toBe('figures');
}, 120_000);

it('goes on after a page that failed', async () => {
  errors = [];
  const broken = await ask('/broken', password);
  expect(broken.status).toBe(500);
  expect(broken.data).not.toContain('on purpose');
  expect(errors).toEqual(['on purpose']);
  expect((await ask('/metrics', password)).data).toBe('figures');
});
