import { firstLines } from '../components/connect/check.ts';
import { Connect, type ConnectorStatus } from '../components/connect/client.ts';
import {
  deleteConnector,
  pauseConnector,
  restartConnector,
  resumeConnector,
  statusOf,
} from '../components/connect/control.ts';
import { EXIT } from '../core/problems.ts';
import type { CommandSpec, Session } from '../kernel/program.ts';
import { refuseOthersConnector } from '../pipeline/inspect/others.ts';
import { attach, type Stack } from '../pipeline/state/stack.ts';

/** Connect's REST interface and the connector's name there. */
function connectorOf(session: Session): { connect: Connect; name: string; stack: Stack } {
  const stack = attach(session.context, { file: session.configFile });
  return { connect: new Connect(stack.endpoints.connect), name: stack.names.connector, stack };
}

const status: CommandSpec = {
  usage: 'status',
  summary: 'state of the connector and its tasks; exit 6 when one has failed',
  examples: ['cdc connector status'],
  async run(session) {
    const { connect, name } = connectorOf(session);
    const found = await session.printer.during(`asking Kafka Connect for ${name}`, () =>
      statusOf(connect, name),
    );
    const result = {
      name,
      state: found.connector.state,
      ...(found.connector.trace ? { trace: firstLines(found.connector.trace) } : {}),
      tasks: found.tasks.map(({ id, state, trace }) => ({
        id,
        state,
        ...(trace ? { trace: firstLines(trace) } : {}),
      })),
    };
    session.printer.result(result, () => statusText(session, result));
    return isFailed(found) ? EXIT.found : undefined;
  },
};

function isFailed(found: ConnectorStatus): boolean {
  return [found.connector, ...found.tasks].some((part) => part.state === 'FAILED');
}

interface StatusResult {
  readonly name: string;
  readonly state: string;
  readonly trace?: string;
  readonly tasks: readonly {
    readonly id: number;
    readonly state: string;
    readonly trace?: string;
  }[];
}

function statusText(session: Session, found: StatusResult): string {
  const { paint } = session.printer;
  const colour = (state: string) =>
    state === 'RUNNING'
      ? paint.green(state)
      : state === 'FAILED'
        ? paint.red(state)
        : paint.yellow(state);
  const part = (label: string, state: string, trace: string | undefined) => [
    `${label} ${colour(state)}`,
    ...(trace ?? '')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => `  ${line}`),
  ];
  return [
    ...part(paint.bold(found.name), found.state, found.trace),
    ...found.tasks.flatMap((task) => part(`task ${task.id}`, task.state, task.trace)),
    ...(found.tasks.length === 0 ? ['no task'] : []),
  ].join('\n');
}

type Outcome = 'paused' | 'resumed' | 'restarted' | 'deleted' | 'unchanged';

/** A sub-command that changes the connector's state and waits until Connect reports the new one. */
function change(
  verb: 'pause' | 'resume' | 'restart' | 'delete',
  summary: string,
  work: (connect: Connect, name: string) => Promise<Outcome>,
  after?: (session: Session, stack: Stack, outcome: Outcome) => void,
): CommandSpec {
  return {
    usage: verb,
    summary,
    examples: [`cdc connector ${verb}`],
    async run(session) {
      const { connect, name, stack } = connectorOf(session);
      await refuseOthersConnector(stack);
      const progress = session.printer.progress(`connector ${name}: ${verb}`);
      const outcome = await work(connect, name).catch((error: unknown) => {
        progress.fail(`connector ${name}: ${verb} did not succeed`);
        throw error;
      });
      const state = (await connect.status(name))?.connector.state;
      progress.done(`connector ${name}: ${state ?? 'not there'}`);
      session.printer.result(
        { result: outcome, connector: name, ...(state ? { state } : {}) },
        () => outcome,
      );
      after?.(session, stack, outcome);
      return undefined;
    },
  };
}

export const connector: CommandSpec = {
  usage: 'connector',
  summary: 'status, pause, resume, restart or delete the Debezium connector',
  examples: ['cdc connector status', 'cdc connector pause && cdc connector resume'],
  commands: [
    status,
    change(
      'pause',
      'stop reading the source for a while; its slot keeps WAL meanwhile',
      pauseConnector,
    ),
    change('resume', 'read on where it was paused', resumeConnector),
    change(
      'restart',
      'restart the connector and its tasks, and wait until they run',
      restartConnector,
      (session) => {
        session.printer.note(
          'Where it reads on is kept: nothing is lost, and what comes twice changes nothing.',
        );
      },
    ),
    change(
      'delete',
      'remove it from Kafka Connect; slot, topics and copy stay',
      deleteConnector,
      (session, stack) => {
        session.printer.note(
          `The slot ${stack.names.slot} stays and keeps WAL until cdc register-connector, or until it is dropped: SELECT pg_drop_replication_slot('${stack.names.slot}');`,
        );
      },
    ),
  ],
};
