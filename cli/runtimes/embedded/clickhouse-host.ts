/**
 * The process that a ClickHouse server lives in: loads libchdb, which is a whole ClickHouse, and
 * calls its command line entry. A process of its own, so that a crash there is a crash of one
 * component and not of the agent.
 *
 * argv: path of libchdb.so, then clickhouse-local options.
 */
import { DataType, load, open } from 'ffi-rs';

// The query that keeps the call, and so the server, alive. One row in 10,000 years.
const LIVE =
  'SELECT sleepEachRow(3) FROM system.numbers FORMAT Null SETTINGS function_sleep_max_microseconds_per_block = 0, max_block_size = 1';

const [library, ...options] = process.argv.slice(2);
if (!library) throw new Error('usage: clickhouse-host LIBCHDB [clickhouse-local options]');

// An ordinary exit would wait for the library's threads, which never end. Parts are written
// atomically, so killing the process loses nothing that was acknowledged.
for (const name of ['SIGTERM', 'SIGINT'] as const) {
  process.on(name, () => process.kill(process.pid, 'SIGKILL'));
}

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
