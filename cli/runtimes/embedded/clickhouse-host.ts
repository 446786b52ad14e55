/**
 * The process that a ClickHouse server lives in: loads libchdb, which is a whole ClickHouse, and
 * calls its command line entry. A process of its own, so that a crash there is a crash of one
 * component and not of the agent.
 *
 * argv: path of libchdb.so, then clickhouse-local options.
 */
import { once } from 'node:events';
import { mkdtempSync, rmdirSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataType, load, open } from 'ffi-rs';
import { waitFor } from '../../lib/wait.ts';

// The query that keeps the call, and so the server, alive. One row in 10,000 years.
const LIVE =
  'SELECT sleepEachRow(3) FROM system.numbers FORMAT Null SETTINGS function_sleep_max_microseconds_per_block = 0, max_block_size = 1';

const START_TIMEOUT_MS = 600_000;

const [library, ...options] = process.argv.slice(2);
if (!library) throw new Error('usage: clickhouse-host LIBCHDB [clickhouse-local options]');

// An ordinary exit would wait for the library's threads, which never end. Parts are written
// atomically, so killing the process loses nothing that was acknowledged.
for (const name of ['SIGTERM', 'SIGINT'] as const) {
  process.on(name, () => process.kill(process.pid, 'SIGKILL'));
}

/**
 * HACK: in this library the SQL function file() reads any file for any user, whatever is granted; but it asks for
 * the current folder first, and fails where that is gone. A library that asks for READ ON FILE there would remove this.
 */
function leaveFolder(): void {
  const gone = mkdtempSync(join(tmpdir(), 'cdc-'));
  process.chdir(gone);
  rmdirSync(gone);
}

/** What it reads by a path of its folder, it has read before it listens. */
async function whenListening(port: number): Promise<void> {
  await waitFor(`port ${port}`, { timeoutMs: START_TIMEOUT_MS, everyMs: 20 }, async () => {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect').finally(() => socket.destroy());
    return { ready: true };
  });
}

const port = options.map((option) => /^--http_port=(\d+)$/.exec(option)?.[1]).find(Boolean);
if (port === undefined) throw new Error('usage: --http_port says where it listens');
void whenListening(Number(port)).then(leaveFolder);

open({ library: 'chdb', path: library });
const argv = [
  'clickhouse',
  ...options,
  '--query',
  `SYSTEM START LISTEN HTTP; SYSTEM START LISTEN TCP; ${LIVE}`,
];
// ClickHouse needs a deep native stack; ffi-rs gives the call a thread of its own.
await load({
  library: 'chdb',
  funcName: 'chdb_query_cmdline',
  retType: DataType.External,
  paramsType: [DataType.I32, DataType.StringArray],
  paramsValue: [argv.length, argv],
  runInNewThread: true,
});
process.exitCode = 1;
