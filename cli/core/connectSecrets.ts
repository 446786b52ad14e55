import { createHmac } from 'node:crypto';

/**
 * Options of the connector that a worker which cdc runs reads from a file of its own (Kafka's FileConfigProvider): then
 * neither Connect's topic nor its REST interface has them. An entry's name follows from its value, so that another value
 * is another configuration, and its connector starts again.
 */
export interface ConnectSecrets {
  /** What stands in the file. */
  readonly entries: Readonly<Record<string, string>>;
  /** What the configuration has in their place. */
  readonly references: Readonly<Record<string, string>>;
}

/**
 * @param key of the digest in the names: without it the password could be guessed from what Connect shows.
 * @param file as the worker sees it.
 */
export function connectSecrets(
  options: Readonly<Record<string, string>>,
  key: string,
  file: string,
): ConnectSecrets {
  const named = Object.entries(options).map(([option, value]) => {
    const digest = createHmac('sha256', key).update(value).digest('hex').slice(0, 16);
    return { option, value, name: `${option}-${digest}` };
  });
  return {
    entries: Object.fromEntries(named.map(({ name, value }) => [name, value])),
    references: Object.fromEntries(
      named.map(({ option, name }) => [option, `\${file:${file}:${name}}`]),
    ),
  };
}

/**
 * The file's entries where it is written before the connector has the configuration of now: under the names of before,
 * too, there is what is true now, and the connector starts with either.
 */
export function withEarlierNames(
  file: string,
  entries: Readonly<Record<string, string>>,
): Record<string, string> {
  const optionOf = (name: string) => name.replace(/-[0-9a-f]{16}$/, '');
  const values = new Map(Object.entries(entries).map(([name, value]) => [optionOf(name), value]));
  const earlier = file.split('\n').flatMap((line) => {
    const [name = ''] = line.split('=', 1);
    const value = values.get(optionOf(name));
    return value === undefined ? [] : [[name, value]];
  });
  return { ...Object.fromEntries(earlier), ...entries };
}
