import type pg from 'pg';
import { expect, test } from 'vitest';
import { asOwner } from '../../cli/pipeline/state/asOwner.ts';

const ADD = 'ALTER PUBLICATION p ADD TABLE ONLY t';

function refusing(code: string): Pick<pg.ClientBase, 'query'> {
  const error = Object.assign(new Error('must be owner of publication p'), { code });
  return { query: () => Promise.reject(error) } as unknown as Pick<pg.ClientBase, 'query'>;
}

test('what PostgreSQL leaves to an owner is told with the statement, not with a way back to doctor', async () => {
  await expect(asOwner(refusing('42501'), ADD)).rejects.toMatchObject({
    code: 'SOURCE_NOT_OWNER',
    fix: expect.stringMatching(/^ALTER PUBLICATION p ADD TABLE ONLY t; {2}-- as its owner/),
  });
});

test('any other refusal stays what it is', async () => {
  await expect(asOwner(refusing('55P03'), ADD)).rejects.toMatchObject({ code: '55P03' });
});
