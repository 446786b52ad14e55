import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { copyFile, hashTrees } from '../../cli/backup/files.ts';
import { prune } from '../../cli/backup/prune.ts';
import {
  claimFolder,
  listBackups,
  locate,
  publish,
  readManifest,
  requireChain,
  unfinishedFolder,
  verifyFiles,
  withBackupLock,
} from '../../cli/backup/store.ts';
import type { Manifest } from '../../cli/core/backups.ts';

const signal = new AbortController().signal;
let target = '';

beforeEach(() => {
  target = mkdtempSync(join(tmpdir(), 'cdc-store-'));
});
afterEach(() => rmSync(target, { recursive: true, force: true }));

async function make(id: string, base?: Manifest): Promise<Manifest> {
  const folder = unfinishedFolder(target, id);
  mkdirSync(join(folder, 'clickhouse', 'data'), { recursive: true });
  writeFileSync(join(folder, 'clickhouse', 'data', 'part.bin'), `rows of ${id}`);
  writeFileSync(join(folder, 'clickhouse', 'empty'), '');
  const manifest: Manifest = {
    v: 1,
    id,
    kind: base ? 'incremental' : 'full',
    full: base?.full ?? id,
    ...(base ? { base: base.id } : {}),
    started_at: '2026-01-01T00:00:00.000Z',
    finished_at: '2026-01-01T00:00:01.000Z',
    versions: { cdc: '1', postgres: '18', clickhouse: '26' },
    pipeline: 'cdc',
    source: '1/shop',
    positions: { end: '0/2', topics: {} },
    clickhouse: { databases: ['cdc'] },
    secrets: 'left out',
    files: await hashTrees(folder, ['clickhouse'], signal, () => {}),
    wal: [],
    bytes: 1,
  };
  await publish(target, manifest);
  return manifest;
}

const [FIRST, SECOND, THIRD] = [
  '20260101T000000Z',
  '20260102T000000Z',
  '20260103T000000Z',
] as const;
const check = (chain: readonly Manifest[]) => verifyFiles(target, chain, signal, () => {});

it('a backup is listed once it has come to its end, and not before', async () => {
  mkdirSync(unfinishedFolder(target, SECOND));
  expect(await listBackups(target)).toEqual([]);
  const made = await make(FIRST);
  expect(await listBackups(target)).toEqual([made]);
  expect(await check([made])).toEqual({ files: 2, bytes: 24 });
});

describe('a backup is damaged', () => {
  const refused = (detail: RegExp) => ({
    code: 'BACKUP_DAMAGED',
    causeText: expect.stringMatching(detail),
  });

  it('where a byte is another one, one is missing or too many, or a file is', async () => {
    const made = await make(FIRST);
    const part = join(target, FIRST, 'clickhouse', 'data', 'part.bin');
    writeFileSync(part, `Rows of ${FIRST}`);
    await expect(check([made])).rejects.toMatchObject(refused(/part\.bin: its checksum/));
    appendFileSync(part, '.');
    await expect(check([made])).rejects.toMatchObject(refused(/part\.bin: it has 25 bytes/));
    rmSync(part);
    await expect(check([made])).rejects.toMatchObject(refused(/part\.bin: it is missing/));
  });

  it('where its manifest is cut off, or of another backup', async () => {
    await make(FIRST);
    const path = join(target, FIRST, 'manifest.json');
    const whole = readFileSync(path, 'utf8');
    writeFileSync(path, whole.slice(0, whole.length / 2));
    await expect(readManifest(join(target, FIRST))).rejects.toMatchObject(refused(/manifest/));
    writeFileSync(path, whole.replaceAll(FIRST, SECOND));
    await expect(readManifest(join(target, FIRST))).rejects.toMatchObject(refused(/manifest/));
    writeFileSync(path, whole.replace('"v": 1', '"v": 2'));
    await expect(readManifest(join(target, FIRST))).rejects.toMatchObject({ code: 'BACKUP_NEWER' });
  });

  it('where what it is on is missing', async () => {
    const first = await make(FIRST);
    const second = await make(SECOND, first);
    expect(() => requireChain([second], second)).toThrow(/is damaged/);
    expect(requireChain([first, second], second)).toEqual([first, second]);
  });
});

it('pruning removes folders, what was begun among them, and none that is needed', async () => {
  const first = await make(FIRST);
  const second = await make(SECOND, first);
  const third = await make(THIRD);
  mkdirSync(unfinishedFolder(target, '20260104T000000Z'));
  expect(await prune(target, { newest: 2 })).toEqual({ removed: [], kept: [first, second, third] });
  const { removed } = await prune(target, { newest: 1 });
  expect(removed).toEqual([second, first]);
  expect(await listBackups(target)).toEqual([third]);
});

it('a folder that holds backups of another pipeline is not written to', () => {
  claimFolder(target, { pipeline: 'cdc', source: '1/shop' });
  claimFolder(target, { pipeline: 'cdc', source: '1/shop' });
  expect(() => claimFolder(target, { pipeline: 'two', source: '1/shop' })).toThrow(/another/);
  expect(() => claimFolder(target, { pipeline: 'cdc', source: '2/shop' })).toThrow(/another/);
});

it('a folder that cannot be made is named, with what to do', async () => {
  writeFileSync(join(target, 'file'), '');
  const below = join(target, 'file', 'backups');
  await expect(withBackupLock(below, async () => {})).rejects.toMatchObject({
    code: 'STATE_UNWRITABLE',
  });
});

it('a disk that is full is named', async () => {
  writeFileSync(join(target, 'file'), 'text');
  await expect(copyFile(join(target, 'file'), '/dev/full', signal)).rejects.toMatchObject({
    code: 'DISK_FULL',
  });
});

it('a backup is found by its folder, by the folder of all, and by its id', async () => {
  await make(FIRST);
  claimFolder(target, { pipeline: 'cdc', source: '1/shop' });
  const found = { target, id: FIRST };
  expect(await locate(join(target, FIRST), '/', undefined)).toEqual(found);
  expect(await locate(FIRST, '/', target)).toEqual(found);
  expect(await locate(target, '/', undefined)).toEqual({ target, id: undefined });
  await expect(locate('nothing', '/', target)).rejects.toMatchObject({ code: 'BACKUP_UNKNOWN' });
});
