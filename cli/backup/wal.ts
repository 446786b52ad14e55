import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type pg from 'pg';
import { segmentName, segmentOf } from '../core/backups.ts';
import { parseLsn } from '../core/lsn.ts';
import { fileProblem } from '../lib/files.ts';
import { namesIn, syncFolder } from './files.ts';

const COMPLETE = '.gz';
/** A segment that is still written to, as far as it has got: it only grows. */
const PARTIAL = '.partial';

/** Where a PostgreSQL that cdc runs writes WAL. */
export interface WalSource {
  readonly folder: string;
  readonly timeline: number;
  readonly segmentBytes: number;
  readonly flushed: bigint;
}

export async function walSource(client: pg.ClientBase): Promise<WalSource> {
  const { rows } = await client.query<Record<string, string>>(
    `SELECT current_setting('data_directory') AS data, pg_current_wal_flush_lsn() AS flushed,
            (SELECT setting FROM pg_settings WHERE name = 'wal_segment_size') AS segment,
            (SELECT timeline_id FROM pg_control_checkpoint()) AS timeline`,
  );
  const [row = {}] = rows;
  return {
    folder: join(row.data ?? '', 'pg_wal'),
    timeline: Number(row.timeline),
    segmentBytes: Number(row.segment),
    flushed: parseLsn(row.flushed ?? '0/0'),
  };
}

/**
 * Copies WAL from a position on to the archive of a chain: segments that are complete, compressed, and what there is of
 * the one that is written to. What is there already is not copied again.
 *
 * @returns the first segment that is not complete: nothing before it is needed in PostgreSQL any more.
 * @throws ENOENT where PostgreSQL has a segment no more.
 */
export async function archiveWal(
  source: WalSource,
  archive: string,
  from: bigint,
): Promise<bigint> {
  const { timeline, segmentBytes, flushed } = source;
  await mkdir(archive, { recursive: true, mode: 0o700 });
  const present = new Set(await namesIn(archive));
  const name = (segment: bigint) => segmentName(timeline, segment, segmentBytes);
  const current = segmentOf(flushed, segmentBytes);
  for (let segment = segmentOf(from, segmentBytes); segment < current; segment += 1n) {
    const file = name(segment);
    if (!present.has(`${file}${COMPLETE}`))
      await compress(join(source.folder, file), join(archive, `${file}${COMPLETE}`));
    if (present.has(`${file}${PARTIAL}`)) await rm(join(archive, `${file}${PARTIAL}`));
  }
  const written = Number(flushed % BigInt(segmentBytes));
  if (written > 0) {
    const file = name(current);
    await append(join(source.folder, file), join(archive, `${file}${PARTIAL}`), written);
  }
  return current;
}

async function compress(from: string, to: string): Promise<void> {
  const half = `${to}.tmp`;
  try {
    await pipeline(
      createReadStream(from),
      createGzip({ level: 1 }),
      createWriteStream(half, { mode: 0o600, flush: true }),
    );
    await rename(half, to);
    await syncFolder(join(to, '..'));
  } catch (error) {
    await rm(half, { force: true });
    throw fileProblem(to, error);
  }
}

/** What a kill leaves is a beginning of it, which the next run goes on with. */
async function append(from: string, to: string, end: number): Promise<void> {
  const source = await open(from, 'r');
  try {
    const target = await open(to, 'a', 0o600);
    try {
      const { size } = await target.stat();
      if (size >= end) return;
      const bytes = Buffer.allocUnsafe(end - size);
      const { bytesRead } = await source.read(bytes, 0, bytes.length, size);
      await target.appendFile(bytes.subarray(0, bytesRead));
      await target.sync();
    } finally {
      await target.close();
    }
  } catch (error) {
    throw fileProblem(to, error);
  } finally {
    await source.close();
  }
}

export interface ArchivedSegment {
  readonly file: string;
  readonly segment: bigint;
  readonly isComplete: boolean;
}

/** The segments of a timeline in an archive, in their order and without a gap, from a position on. */
export async function archived(
  archive: string,
  { timeline, segmentBytes }: Pick<WalSource, 'timeline' | 'segmentBytes'>,
  from: bigint,
): Promise<ArchivedSegment[]> {
  const present = new Set(await namesIn(archive));
  const found: ArchivedSegment[] = [];
  for (let segment = segmentOf(from, segmentBytes); ; segment += 1n) {
    const name = segmentName(timeline, segment, segmentBytes);
    const isComplete = present.has(`${name}${COMPLETE}`);
    const file = `${name}${isComplete ? COMPLETE : PARTIAL}`;
    if (!present.has(file)) return found;
    found.push({ file, segment, isComplete });
    if (!isComplete) return found;
  }
}

/** The newest time at which something was archived. */
export async function lastArchivedAt(archive: string): Promise<Date | undefined> {
  const times = await Promise.all(
    (await namesIn(archive)).map(async (name) => (await stat(join(archive, name))).mtime),
  );
  return times.toSorted((a, b) => b.getTime() - a.getTime())[0];
}
