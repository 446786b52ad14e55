import type { SourceTable } from './source.ts';
import type { ObjectName } from './stalls.ts';

/** What follows from a step for rows and for what flows. */
export type Consequence =
  | 'loads the table'
  | 'loads all tables'
  | 'writes the copy anew'
  | 'stops reading for a moment'
  | 'restarts the connector';

/** What people, `--json` and the history of applies are given of a step. */
export interface ShownStep {
  readonly component: 'postgres' | 'kafka' | 'clickhouse' | 'connect';
  readonly action: 'create' | 'add' | 'remove' | 'alter' | 'replace' | 'drop' | 'load' | 'update';
  /** What it is done to: `publication cdc_cdc`, `table inventory.orders_final`. */
  readonly object: string;
  /** The very statements that `apply` runs, where it is done with SQL. */
  readonly sql: readonly string[];
  /** The table of the source that it is about; absent where it is about none, or several. */
  readonly table?: string | undefined;
  readonly reason?: string | undefined;
  readonly consequence?: Consequence | undefined;
}

/** What `apply` goes by; what is shown is never read again. */
type Work =
  | { readonly kind: 'database' }
  /** Something that nothing wants any more: rows only pass through, or a rebuild was stopped. */
  | { readonly kind: 'drop'; readonly dropped: string | undefined }
  /** Objects in the database `cdc`. */
  | { readonly kind: 'own' }
  | { readonly kind: 'move' }
  | {
      readonly kind: 'storage' | 'view';
      readonly target: ObjectName & { readonly ttl?: string };
      /** Only while nothing is read, since views write it. */
      readonly isStopped: boolean;
    }
  | {
      readonly kind: 'lane';
      readonly queue: ObjectName;
      readonly stop: readonly string[];
      readonly start: readonly string[];
    }
  | { readonly kind: 'load' }
  | AggregateWork
  | { readonly kind: 'source-tables' }
  | { readonly kind: 'publication'; readonly joins: boolean }
  | { readonly kind: 'withdrawal'; readonly source: SourceTable }
  | { readonly kind: 'slot' }
  | { readonly kind: 'topic'; readonly topic: string }
  | { readonly kind: 'connector' };

/** A view that a file declares. */
interface AggregateWork {
  readonly kind: 'aggregate';
  readonly view: string;
  /** Takes away what an attempt has left that failed. */
  readonly undo: string | undefined;
  readonly file: string | undefined;
}

/** One thing that `apply` does; `plan` prints them. */
export type Step = ShownStep & Work;

export type StepOf<Kind extends Step['kind']> = Extract<Step, { readonly kind: Kind }>;

export function stepsOf<Kind extends Step['kind']>(
  steps: readonly Step[],
  kind: Kind,
): StepOf<Kind>[] {
  return steps.filter((step): step is StepOf<Kind> => step.kind === kind);
}

/** A line about a step, for people. */
export function describeStep({ component, action, object }: ShownStep): string {
  return `${component}: ${action} ${object}`;
}

/** Without what only `apply` needs. */
export function shownStep(step: Step): ShownStep & { readonly kind: Step['kind'] } {
  const { kind, component, action, object, table, reason, consequence } = step;
  return { kind, component, action, object, sql: shownSql(step), table, reason, consequence };
}

/** A queue of a Kafka that cdc does not run has its password in its statement. */
export function shownSql({ sql }: ShownStep): string[] {
  return sql.map((statement) =>
    statement.replaceAll(/(kafka_sasl_password = )'(?:[^'\\]|\\.)*'/g, "$1'***'"),
  );
}
