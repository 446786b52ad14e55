import axios from 'axios';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePort } from '../../cli/lib/ports.ts';
import { serve } from '../../cli/metrics/server.ts';

const password = 'right password: ü';
let url: string;
let end: () => Promise<void>;
let posted: string[] = [];

beforeAll(async () => {
  const port = await freePort();
  const text = (body: string) => ({ status: 200, type: 'text/plain', text: body });
  end = await serve(
    { host: '127.0.0.1', port, password },
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

it('goes on after a page that failed', async () => {
  expect((await ask('/broken', password)).status).toBe(500);
  expect((await ask('/metrics', password)).data).toBe('figures');
});
