import { withClickHouse } from '../../components/clickhouse/client.ts';
import { chosen, oneOf } from '../../core/chaos.ts';
import { chIdent } from '../../lib/sql.ts';
import { pause } from '../../lib/wait.ts';
import type { Fault, Ground } from '../ground.ts';
import type { CopiedTable } from '../tables.ts';

const REFUSED_MS = [2000, 10_000] as const;

const tableBy = (ground: Ground, chance: number) =>
  oneOf(chance, ground.tables as [CopiedTable, ...CopiedTable[]]).names;

function inClickHouse(ground: Ground, ...statements: string[]): Promise<void> {
  return withClickHouse(ground.stack.endpoints.clickhouse, async (client) => {
    for (const statement of statements) await client.command(statement);
  });
}

export const CLICKHOUSE_FAULTS: readonly Fault[] = [
  {
    name: 'drop-copy',
    summary: 'the storage of a copied table is dropped',
    servers: ['clickhouse'],
    mend: 'apply',
    async play(ground, chance) {
      const { database, final } = tableBy(ground, chance);
      await inClickHouse(ground, `DROP TABLE ${chIdent(database, final)} SYNC`);
      return `${database}.${final} was dropped`;
    },
  },
  {
    name: 'drop-database',
    summary: 'the database of copied tables is dropped',
    servers: ['clickhouse'],
    mend: 'apply',
    notHere: ({ stack }) =>
      stack.config.clickhouse.database === undefined
        ? undefined
        : 'clickhouse.database of cdc.yaml is that of all copies',
    async play(ground, chance) {
      const { database } = tableBy(ground, chance);
      await inClickHouse(ground, `DROP DATABASE ${chIdent(database)} SYNC`);
      return `database ${database} was dropped`;
    },
  },
  {
    name: 'refuse-inserts',
    summary: 'ClickHouse takes no rows of a table for a while: "too many parts"',
    servers: ['clickhouse'],
    async play(ground, chance) {
      const { database, final } = tableBy(ground, chance);
      const ms = chosen(chance, ...REFUSED_MS);
      const table = chIdent(database, final);
      await inClickHouse(ground, `ALTER TABLE ${table} MODIFY SETTING parts_to_throw_insert = 1`);
      try {
        await pause(ms, ground.signal);
      } finally {
        await inClickHouse(ground, `ALTER TABLE ${table} RESET SETTING parts_to_throw_insert`);
      }
      return `${database}.${final} refused rows for ${ms} ms`;
    },
  },
];
