import { BACKUP_PROBLEMS } from './backupProblems.ts';
import { CLICKHOUSE_PROBLEMS } from './clickhouseProblems.ts';
import { CONTAINER_PROBLEMS } from './containerProblems.ts';
import { MACHINE_PROBLEMS } from './machineProblems.ts';
import { EXIT, type ExitCode, entry, type ProblemEntry } from './problemEntry.ts';
import { STACK_PROBLEMS } from './stackProblems.ts';
import { TLS_PROBLEMS } from './tlsProblems.ts';

export { EXIT, type ExitCode, type ProblemEntry } from './problemEntry.ts';

/**
 * Every problem a user can meet: one entry, one code. The comment of an entry is its runbook.
 * `cause` and `fix` are templates; `{name}` is replaced by the parameter of that name.
 */

export const PROBLEMS = {
  // --- usage and configuration
  USAGE: entry(
    EXIT.usage,
    '{detail}',
    'The command line does not match what cdc accepts.',
    'cdc {command} --help',
  ),
  CONFIG_INVALID: entry(
    EXIT.configuration,
    '{file} has {count}.',
    '{detail}',
    'Edit {file}; every key is described in docs/configuration.md.',
  ),
  CONFIG_EXISTS: entry(
    EXIT.configuration,
    '{file} exists already and is not overwritten.',
    'cdc init writes a new file only.',
    'mv {file} {file}.old && cdc init',
  ),
  NOT_IMPLEMENTED_RUNTIME: entry(
    EXIT.configuration,
    'Runtime {runtime} cannot be used here.',
    '{detail}',
    'cdc up --runtime embedded',
  ),
  TABLE_UNKNOWN: entry(
    EXIT.configuration,
    'No table named {table} is captured.',
    'Captured are: {known}.',
    'cdc plan --json   # lists every captured table',
  ),
  LETTER_UNKNOWN: entry(
    EXIT.usage,
    'There is no dead letter {id}.',
    'It was replayed or discarded, or never was.',
    'cdc dlq list   # lists those that are there',
  ),
  NAME_UNKNOWN: entry(
    EXIT.usage,
    'There is no {kind} named {name}.',
    'Known are: {known}.',
    '{suggestion}',
  ),
  ...BACKUP_PROBLEMS,
  ...MACHINE_PROBLEMS,
  ...CONTAINER_PROBLEMS,
  // --- the stack
  SERVER_START_FAILED: entry(
    EXIT.unreachable,
    '{server} did not start.',
    '{detail}',
    'cdc logs {server}',
  ),
  AGENT_FAILED: entry(
    EXIT.unreachable,
    'The agent that supervises the servers stopped.',
    '{detail}',
    'cdc logs agent   # then: cdc up',
  ),
  PIPELINE_BUSY: entry(
    EXIT.refused,
    'Another cdc, on this machine or in a container, works on the pipeline of publication {publication}.',
    '{detail}',
    "cdc logs agent   # what the agent does; or: SELECT pid, client_addr FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory'",
  ),
  /** Several pipelines share servers (docs/several-pipelines.md), and two of them would share more. */
  OTHER_PIPELINE: entry(
    EXIT.refused,
    '{object} belongs to another pipeline: {owner}.',
    '{detail}',
    '{fix}',
  ),
  SERVERS_NOT_READY: entry(
    EXIT.refused,
    'The servers are not ready: {count}.',
    '{detail}',
    'cdc doctor   # prints each finding with its fix; fix them and run the same command again',
  ),
  // --- source
  SOURCE_BROKEN: entry(
    EXIT.refused,
    'The source is not in the state that the copy was made from.',
    '{detail} What the copy has of it cannot be told from what is there now; nothing was changed.',
    'cdc apply   # makes another slot and loads every table again, deletes included',
  ),
  SOURCE_UNREACHABLE: entry(
    EXIT.unreachable,
    'PostgreSQL at {endpoint} cannot be reached.',
    '{detail}',
    'Check host and port in source.url; then: psql "{url}" -c "select 1"',
  ),
  SOURCE_AUTH: entry(
    EXIT.refused,
    'PostgreSQL at {endpoint} refused user {user}.',
    '{detail}',
    'Put the right password into the environment (CDC_SOURCE_PASSWORD) or into source.password_file.',
  ),
  SOURCE_DATABASE: entry(
    EXIT.refused,
    'PostgreSQL at {endpoint} has no database {database}.',
    '{detail}',
    'createdb {database}   # or correct the name in source.url',
  ),
  SOURCE_POOLER: entry(
    EXIT.refused,
    'A pooler such as PgBouncer stands between cdc and PostgreSQL at {endpoint}.',
    "{detail} Debezium cannot replicate through it, and cdc's locks need sessions of the server's own.",
    'Name the server itself in source.url.',
  ),
  SOURCE_REFUSED: entry(
    EXIT.refused,
    'PostgreSQL refused a statement: {detail}',
    'Statement: {statement}',
    'cdc doctor   # checks rights and settings and prints the SQL that fixes them',
  ),
  /** The role of source.url owns neither the publication nor the table; it does not have to. */
  SOURCE_NOT_OWNER: entry(
    EXIT.refused,
    'PostgreSQL lets only an owner do this: {detail}',
    'The role of source.url may not run: {statement}',
    '{statement};  -- as its owner; all that cdc needs as one script: cdc init --sql',
  ),
  SOURCE_NOT_READY: entry(
    EXIT.refused,
    'The source database is not ready: {count}.',
    '{detail}',
    'cdc doctor   # prints each finding with its fix; fix them and run the same command again',
  ),
  SOURCE_NOT_NAMED: entry(
    EXIT.configuration,
    'There is no source to write a script for.',
    '{detail}',
    'cdc init --sql --source postgres://owner@host:port/database   # whoever may read its catalog',
  ),
  SLOT_LOST: entry(
    EXIT.refused,
    'The replication slot {slot} is lost: {detail}',
    'PostgreSQL removed WAL that the slot needed, or somebody dropped the slot; changes since then cannot be streamed.',
    'cdc apply   # makes a new slot and loads the tables again',
  ),
  // --- kafka, connect
  KAFKA_UNREACHABLE: entry(
    EXIT.unreachable,
    'Kafka at {endpoint} cannot be reached.',
    '{detail}',
    'cdc status && cdc logs kafka',
  ),
  KAFKA_AUTH: entry(
    EXIT.refused,
    'Kafka at {endpoint} refused user {user}.',
    '{detail}',
    'Put the right password into the environment (CDC_KAFKA_PASSWORD) or into kafka.password_file; kafka.mechanism is how the user logs in.',
  ),
  KAFKA_REFUSED: entry(
    EXIT.refused,
    'Kafka refused: {detail}',
    'The broker answered with an error.',
    'cdc logs kafka',
  ),
  TOPIC_COLLISION: entry(
    EXIT.configuration,
    'Kafka takes the topics of {table} and {other} for the same.',
    'Kafka does not tell . from _ in the names of topics: {topic} cannot be made while {existing} is there.',
    'Leave one of them out in cdc.yaml: {exclude}   # or rename it: ALTER TABLE … RENAME TO …',
  ),
  CONNECT_UNREACHABLE: entry(
    EXIT.unreachable,
    'Kafka Connect at {endpoint} cannot be reached.',
    '{detail}',
    'cdc status && cdc logs connect',
  ),
  CONNECT_AUTH: entry(
    EXIT.refused,
    'Kafka Connect at {endpoint} refused user {user}.',
    '{detail}',
    'connect.username, and the password in the environment (CDC_CONNECT_PASSWORD) or in connect.password_file; a token: connect.token_file.',
  ),
  CONNECT_REFUSED: entry(
    EXIT.refused,
    'Kafka Connect refused: {detail}',
    'The worker answered with an error.',
    'cdc logs connect',
  ),
  CONNECTOR_INVALID: entry(
    EXIT.refused,
    "Kafka Connect's validator refused the connector's configuration.",
    '{detail}',
    'cdc register-connector --dry-run   # shows the configuration and every complaint',
  ),
  CONNECTOR_MISSING: entry(
    EXIT.refused,
    'There is no connector named {name}.',
    'Connectors there: {known}.',
    'cdc register-connector',
  ),
  CONNECTOR_FAILED: entry(
    EXIT.refused,
    'The connector {name} has failed.',
    '{detail}',
    'cdc connector restart   # then: cdc logs connect',
  ),
  ...TLS_PROBLEMS,
  ...STACK_PROBLEMS,
  ...CLICKHOUSE_PROBLEMS,
  // --- the pipeline
  HEARTBEAT_TIMEOUT: entry(
    EXIT.unreachable,
    'No heartbeat row crossed the pipeline within {seconds} s.',
    '{detail}',
    'cdc status && cdc doctor && cdc connector status',
  ),
  LOAD_FAILED: entry(
    EXIT.refused,
    'The load of {table} stopped: {detail}',
    'Finished parts are recorded; nothing is loaded twice.',
    'Run the same command again; it goes on where the load stopped.',
  ),
  KEY_NOT_READABLE: entry(
    EXIT.refused,
    'Debezium cannot read {table}: its key has an array, {column}.',
    'Debezium stores the key that it has come to in a form that no array has, and stops for good. ClickHouse can read the table.',
    'cdc snapshot {table}   # without --method debezium; if ClickHouse cannot reach the source: clickhouse.source_address in cdc.yaml',
  ),
  TABLE_NOT_APPLIED: entry(
    EXIT.refused,
    '{table} is not copied yet as cdc.yaml says.',
    '{detail}',
    'cdc apply',
  ),
  TRANSACTION_OPEN: entry(
    EXIT.refused,
    'A transaction on the source stays open, and loading must wait for it.',
    '{detail}',
    'SELECT pid, xact_start, state, query FROM pg_stat_activity WHERE backend_xid IS NOT NULL ORDER BY xact_start;   -- end it (also: SELECT * FROM pg_prepared_xacts), then run the same command again',
  ),
  TABLE_LEFT_OUT: entry(
    EXIT.found,
    '{count} left out.',
    '{detail}',
    'cdc doctor   # has the fix of each',
  ),
  COPY_DIFFERS: entry(
    EXIT.found,
    'Source and copy differ in {count}.',
    '{detail}',
    'cdc verify --repair   # reads these rows again; if they differ once more: cdc doctor, and cdc.dead_letters',
  ),
  LAG_ABOVE_MAX: entry(
    EXIT.found,
    'Lag is above the limit: {detail}.',
    'The limit was given with --max.',
    'cdc lag --watch   # shows which stage is late',
  ),
  INTERRUPTED: entry(
    EXIT.interrupted,
    'Interrupted.',
    'A signal arrived; what was finished is kept.',
    'Run the same command again; it goes on where it was.',
  ),
  INTERNAL: entry(
    EXIT.bug,
    'cdc has a bug: {detail}',
    'This should not happen.',
    'Run again with CDC_DEBUG=1 and report what it prints.',
  ),
} as const satisfies Record<string, ProblemEntry>;

export type ProblemCode = keyof typeof PROBLEMS;

/** Fills `{name}` in a template; an unknown name stays visible, so that tests can find it. */
export function fill(template: string, params: Readonly<Record<string, string | number>>): string {
  return template.replace(/\{(\w+)\}/g, (whole, name: string) =>
    name in params ? String(params[name]) : whole,
  );
}

/** A problem as it is shown and as it stands in JSON. */
export interface RenderedProblem {
  code: ProblemCode;
  message: string;
  cause: string;
  fix: string;
}

/** The one exception that commands throw for anything a user can meet. */
export class Problem extends Error {
  readonly code: ProblemCode;
  readonly exit: ExitCode;
  readonly causeText: string;
  readonly fix: string;

  constructor(
    code: ProblemCode,
    params: Readonly<Record<string, string | number>> = {},
    options: { cause?: unknown; fix?: string } = {},
  ) {
    const found = PROBLEMS[code];
    super(fill(found.sentence, params), { cause: options.cause });
    this.name = 'Problem';
    this.code = code;
    this.exit = found.exit;
    this.causeText = fill(found.cause, params);
    this.fix = options.fix ?? fill(found.fix, params);
  }

  /** A problem that another process rendered. */
  static restore(code: ProblemCode, rendered: RenderedProblem): Problem {
    const problem = new Problem(code, {}, { fix: rendered.fix });
    problem.message = rendered.message;
    return Object.assign(problem, { causeText: rendered.cause });
  }

  render(): RenderedProblem {
    return { code: this.code, message: this.message, cause: this.causeText, fix: this.fix };
  }
}

/** Any error in one line, for a log: sentence, cause and code of a Problem, else the message. */
export function errorText(error: unknown): string {
  if (error instanceof Problem) return `${error.message} ${error.causeText} [${error.code}]`;
  return error instanceof Error ? error.message : String(error);
}

/** `1 problem`, `3 problems`. */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
