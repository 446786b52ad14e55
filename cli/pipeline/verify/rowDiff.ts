import type pg from 'pg';
import type { ClickHouse } from '../../components/clickhouse/client.ts';
import type { TablePlan } from '../../core/ddl.ts';
import type { Throttle } from '../load/throttle.ts';
import type { Stack } from '../state/stack.ts';

export interface VerifyEvents {
  table(label: string, index: number, of: number): void;
  phase(text: string): void;
}

/** What the comparison of one table works with. */
export interface CheckContext {
  readonly stack: Stack;
  readonly plan: TablePlan;
  readonly source: pg.ClientBase;
  readonly clickhouse: ClickHouse;
  /** Rows of a statement in ClickHouse, which ends with the signal. */
  read<T>(sql: string): Promise<T[]>;
  readonly throttle: Throttle;
  readonly signal: AbortSignal;
  readonly events: VerifyEvents;
}
