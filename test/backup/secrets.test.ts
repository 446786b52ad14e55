import { expect, it } from 'vitest';
import { seal, unseal } from '../../cli/backup/secrets.ts';

const files = { '.cdc/secrets.json': '{"postgres":"geheim-1"}', 'pass word': 'ü' };

it('what was sealed is opened by the same passphrase alone', () => {
  const sealed = seal(files, 'horse battery');
  expect(sealed).not.toContain('geheim');
  expect(unseal(sealed, 'horse battery')).toEqual(files);
  expect(unseal(sealed, 'horse batterY')).toBeUndefined();
  expect(unseal(sealed, '')).toBeUndefined();
});

it('what was changed is not opened', () => {
  const sealed = JSON.parse(seal(files, 'p'));
  const data = Buffer.from(sealed.data, 'base64');
  data[0] = (data[0] ?? 0) ^ 1;
  expect(unseal(JSON.stringify({ ...sealed, data: data.toString('base64') }), 'p')).toBeUndefined();
  expect(unseal(JSON.stringify({ ...sealed, tag: sealed.tag.slice(0, 8) }), 'p')).toBeUndefined();
  expect(unseal('{}', 'p')).toBeUndefined();
  expect(unseal('no JSON', 'p')).toBeUndefined();
});

it('the same is never sealed twice alike', () => {
  expect(seal(files, 'p')).not.toBe(seal(files, 'p'));
});
