import { EXIT, entry } from './problemEntry.ts';

/** What a user can meet with a stack as a whole. */
export const STACK_PROBLEMS = {
  STACK_NOT_RUNNING: entry(
    EXIT.unreachable,
    'No stack is running for {directory}.',
    'cdc up has not been run here, or the stack was stopped.',
    'cdc up',
  ),
  STACK_BUSY: entry(
    EXIT.refused,
    'Another cdc command works on this stack (pid {pid}).',
    '{detail}',
    'Wait for it to end, or stop it: kill {pid}',
  ),
  KAFKA_OTHER_BROKERS: entry(
    EXIT.refused,
    'The Kafka of this stack was made with {made}, and cdc.yaml asks for {wanted}.',
    'Brokers vote over what the cluster is: with others among them, empty ones could decide that there are no topics.',
    'kafka.brokers: {count}   # in cdc.yaml, or: cdc down --delete-data && cdc up',
  ),
  STACK_OTHER_CONFIG: entry(
    EXIT.refused,
    'The running stack was started with other settings: {detail}.',
    'cdc.yaml changed since cdc up; servers take these settings only when they start.',
    'cdc down && cdc up   # data stay',
  ),
  STACK_NEWER: entry(
    EXIT.refused,
    'A newer cdc runs this stack (pid {pid}, since {since}).',
    'This one would not understand what that has written, and would undo what it does not know.',
    'Run the newer cdc, or end its agent with it: cdc down',
  ),
  BENCH_FILE: entry(
    EXIT.usage,
    'No run of cdc bench can be read from {file}.',
    '{detail}',
    'cdc bench --json > now.json   # writes one',
  ),
  /** cdc chaos breaks what it runs on. */
  CHAOS_OTHER_TABLES: entry(
    EXIT.refused,
    'This stack copies {count} that faults would strike, too.',
    'cdc chaos kills its servers and drops its slot, its topics and copies: {tables}.',
    'cdc chaos --yes   # where nobody needs this stack; else one in a folder of its own',
  ),
  CHAOS_NOTHING_WRITTEN: entry(
    EXIT.refused,
    'cdc chaos could not write a row to its tables.',
    '{detail}',
    'cdc status',
  ),
  CHAOS_NOT_HERE: entry(
    EXIT.refused,
    'The fault {fault} cannot be played on this stack.',
    'Here {why}.',
    'cdc chaos --list   # those that can',
  ),
} as const;
