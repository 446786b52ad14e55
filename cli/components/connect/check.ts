import type { Finding } from '../../core/findings.ts';
import type { ConnectorStatus } from './client.ts';

/** The causes in a Java stack trace, without its frames. */
export function firstLines(trace: string): string {
  const lines = trace.split('\n').filter((line) => !/^\s+at |^\s+\.\.\. /.test(line));
  return lines.slice(0, 4).join('\n');
}

/** What a worker says that has Debezium without the converter beside it. */
const NO_CONVERTER = /ClassNotFoundException: cdc\.|NoClassDefFoundError: cdc\//;

/** How to repair what a trace tells; undefined when it tells nothing that we know. */
export function fixOfTrace(trace: string): string | undefined {
  return NO_CONVERTER.test(trace)
    ? "Copy connectors/postgres-text/cdc-postgres-text.jar into Debezium's plug-in folder on every worker of Kafka Connect and restart the workers; then: cdc connector restart"
    : undefined;
}

/** What is wrong with the connector; `undefined` is a connector that is not there. */
export function checkConnector(name: string, status: ConnectorStatus | undefined): Finding[] {
  if (!status) {
    return [
      {
        id: 'connector-missing',
        severity: 'error',
        subject: name,
        message: 'Kafka Connect has no connector of this name: nothing is read from the source',
        fix: 'cdc register-connector',
      },
    ];
  }
  const { state } = status.connector;
  if (state === 'PAUSED' || state === 'STOPPED') {
    return [
      {
        id: `connector-${state.toLowerCase()}`,
        severity: 'warning',
        subject: name,
        message: `the connector is ${state.toLowerCase()}: nothing is read from the source, and its slot keeps WAL`,
        fix: 'cdc connector resume',
      },
    ];
  }
  const parts = [
    { subject: name, ...status.connector },
    ...status.tasks.map((task) => ({ ...task, subject: `${name} task ${task.id}` })),
  ];
  return parts
    .filter((part) => part.state === 'FAILED')
    .map((part): Finding => {
      const trace = part.trace ?? 'no trace';
      const known = fixOfTrace(trace);
      return {
        id: known === undefined ? 'connector-failed' : 'converter-missing',
        severity: 'error',
        subject: part.subject,
        message: `it has failed: ${firstLines(trace).replaceAll('\n', ' ')}`,
        fix: known ?? 'cdc connector restart   # then: cdc logs connect',
      };
    });
}
