import { EXIT, plural } from '../core/problems.ts';
import type { CommandSpec, Session } from '../kernel/program.ts';
import { attach, type Stack } from '../pipeline/state/stack.ts';
import {
  discardDeadLetters,
  listDeadLetters,
  replayDeadLetters,
  showDeadLetter,
} from '../pipeline/verify/deadLetters.ts';

const LIST_LIMIT = 100;

function stackOf(session: Session): Stack {
  return attach(session.context, { file: session.configFile });
}

const list: CommandSpec = {
  usage: 'list',
  summary: `the latest ${LIST_LIMIT} messages that are no row of a copied table, with the reason`,
  examples: ['cdc dlq list', 'cdc dlq list --json'],
  async run(session) {
    const { printer } = session;
    const stack = stackOf(session);
    const letters = await printer.during('asking ClickHouse for dead letters', () =>
      listDeadLetters(stack, LIST_LIMIT),
    );
    printer.result({ letters }, () =>
      letters.length === 0
        ? 'No dead letters: everything that came is stored.'
        : printer.table(
            ['id', 'table', 'key', 'op', 'reason', 'arrived (UTC)'],
            letters.map((l) => [l.id, l.table, shortKey(l.key), l.op, l.reason, l.arrived_at]),
          ),
    );
    return undefined;
  },
};

const KEY_WIDTH = 40;

/** Enough of a key to find its row; `dlq show` has all of it. */
function shortKey(key: string): string {
  return key.length > KEY_WIDTH ? `${key.slice(0, KEY_WIDTH - 1)}…` : key;
}

const show: CommandSpec = {
  usage: 'show <id>',
  summary: 'one dead letter in full',
  examples: ['cdc dlq show postgres-server.inventory.orders:0:17'],
  async run(session, [id]) {
    const letter = await showDeadLetter(stackOf(session), String(id));
    session.printer.result(letter, () =>
      Object.entries(letter)
        .filter(([, value]) => value !== '')
        .map(([name, value]) => `${name.padEnd(12)}${value}`)
        .join('\n'),
    );
    return undefined;
  },
};

const replay: CommandSpec = {
  usage: 'replay [ids...]',
  summary:
    'read the rows of dead letters again from the source, all when none is named; exit 6 when some are left',
  examples: ['cdc dlq replay', 'cdc dlq replay postgres-server.inventory.orders:0:17'],
  async run(session, [ids]) {
    const { printer } = session;
    const stack = stackOf(session);
    const progress = printer.progress('reading rows again');
    const result = await replayDeadLetters(
      stack,
      (ids as string[] | undefined) ?? [],
      session.context.signal,
      (text) => progress.update(text),
    ).catch((error: unknown) => {
      progress.fail('the replay stopped');
      throw error;
    });
    progress.done(`replayed ${plural(result.replayed.length, 'dead letter')}`);
    printer.result(result, () =>
      [
        ...result.replayed.map((id) => `${printer.paint.green('✔')} ${id}`),
        ...result.left.map(({ id, why }) => `${printer.paint.yellow('!')} ${id}: ${why}`),
      ].join('\n'),
    );
    return result.left.length > 0 ? EXIT.found : undefined;
  },
};

const discard: CommandSpec = {
  usage: 'discard <ids...>',
  summary: 'forget dead letters that are no row’s, such as a message that somebody else wrote',
  examples: ['cdc dlq discard postgres-server.inventory.orders:0:17'],
  async run(session, [ids]) {
    const discarded = await discardDeadLetters(stackOf(session), ids as string[]);
    session.printer.result(
      { discarded },
      () => `Forgot ${plural(discarded.length, 'dead letter')}.`,
    );
    return undefined;
  },
};

export const dlq: CommandSpec = {
  usage: 'dlq',
  summary: 'dead letters: messages that are no row of a copied table',
  examples: ['cdc dlq list'],
  commands: [list, show, replay, discard],
};
