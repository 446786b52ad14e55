import type { CommandSpec, Session } from '../kernel/program.ts';
import { ensureJars, findJars, type Jars } from '../runtimes/embedded/jars.ts';
import { installObservers } from '../runtimes/embedded/observers/programs.ts';
import { findJava, installMissingTools, type Tool } from '../runtimes/embedded/toolchain.ts';

/** Hidden: what `npm start` and `npm test` run first. */
export const setup: CommandSpec = {
  usage: 'setup',
  summary: 'fetch what the embedded runtime needs: Java, and the Kafka and Debezium jars',
  examples: ['cdc setup'],
  hidden: true,
  options: [
    {
      flags: '--observers',
      description: 'also Prometheus, Alertmanager, exporters and PgBouncer, for tests',
    },
    { flags: '--jdk', description: 'also a JDK and Maven, for the tests of the converter' },
  ],
  async run(session, _args, options) {
    const { context, printer } = session;
    if (options.observers === true) installObservers(context.env, (line) => printer.note(line));
    // A JDK has a java, too.
    if (options.jdk === true) install(session, ['jdk', 'maven']);
    const before = toolsThatAreThere(context.env);
    const { java, jars } = before ?? (await fetchTools(session));
    const result = { java, jars, result: before ? 'unchanged' : 'installed' };
    printer.result(result, () => result.result);
    return undefined;
  },
};

type Env = Session['context']['env'];

interface Tools {
  readonly java: string;
  readonly jars: Jars;
}

/** With the jars there, Maven is not needed any more. */
function toolsThatAreThere(env: Env): Tools | undefined {
  const jars = findJars(env);
  if (!jars) return undefined;
  try {
    return { java: findJava(env), jars };
  } catch {
    return undefined;
  }
}

function install({ context, printer }: Session, tools: readonly Tool[]): void {
  try {
    installMissingTools(context.env, (line) => printer.note(line), tools);
  } catch (error) {
    // What is missing then is a problem of its own, with the command to type.
    printer.note(`that did not work: ${(error as Error).message.split('\n')[0]}`);
  }
}

async function fetchTools(session: Session): Promise<Tools> {
  const { context, printer } = session;
  install(session, ['java', 'maven']);
  const java = findJava(context.env);
  if (findJars(context.env))
    return { java, jars: await ensureJars(context.env, context.signal, () => {}) };
  const progress = printer.progress('fetching the Kafka and Debezium jars');
  try {
    const jars = await ensureJars(context.env, context.signal, (text) => progress.update(text));
    progress.done('the Kafka and Debezium jars are there');
    return { java, jars };
  } catch (error) {
    progress.fail('the jars could not be fetched');
    throw error;
  }
}
