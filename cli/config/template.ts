import { stringify } from 'yaml';
import { jsonSchema, type LeafPath, leafPaths } from './describe.ts';

/** What `cdc init` puts into the file; keys are dotted paths. */
export interface Template {
  readonly values: ReadonlyMap<string, unknown>;
  /** Comments under a key, one line each. */
  readonly notes: ReadonlyMap<string, readonly string[]>;
  /** Comments before an entry of a list, by the entry. */
  readonly entryNotes: ReadonlyMap<string, string>;
}

const WIDTH = 96;

const HEAD = [
  'What cdc copies from PostgreSQL to ClickHouse. Written by cdc init; edit it freely.',
  'Every key has a default; a key that is commented out shows it. cdc doctor checks the result,',
  'cdc plan shows what it would change, cdc up makes it so.',
];

/** The text of a cdc.yaml in which every key of the schema is described. */
export function configTemplate(template: Template): string {
  const sections = jsonSchema().properties ?? {};
  const blocks = Object.entries(sections).map(([section, schema]) => {
    const leaves = leafPaths().filter((leaf) => leaf.path.startsWith(`${section}.`));
    const own = leafPaths().find((leaf) => leaf.path === section);
    if (leaves.length === 0) return own ? leafLines(own, template, '') : [];
    return sectionLines(section, schema.description ?? '', own, leaves, template);
  });
  const head = HEAD.map((line) => `# ${line}`);
  return `${[head, ...blocks].map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

function sectionLines(
  section: string,
  description: string,
  own: LeafPath | undefined,
  leaves: readonly LeafPath[],
  template: Template,
): string[] {
  const active = leaves.some((leaf) => template.values.has(leaf.path));
  const either = own ? [`# ${section}: auto`, '# or:'] : [];
  // A section without values is commented out as a whole: an empty one would be no mapping.
  const rest = active
    ? [`${section}:`, ...leaves.flatMap((leaf) => leafLines(leaf, template, '  '))]
    : [
        `# ${section}:`,
        ...leaves.flatMap((leaf) => [...about(leaf, '#   '), `#   ${defaultLine(leaf)}`]),
      ];
  return [...comment(description, ''), ...either, ...rest];
}

/** What a key means, and its choices. */
function about(leaf: LeafPath, indent: string): string[] {
  const choices = / \| /.test(leaf.type) ? ` One of: ${leaf.type.replaceAll(' | ', ', ')}.` : '';
  return comment(`${leaf.description}${choices}`, indent);
}

/** `topic_prefix: postgres-server`, or only the key where there is no default. */
function defaultLine(leaf: LeafPath): string {
  const shown =
    leaf.default === undefined ? '' : ` ${JSON.stringify(leaf.default).replace(/^"(.*)"$/, '$1')}`;
  return `${keyOf(leaf)}:${shown}`;
}

function keyOf(leaf: LeafPath): string {
  return leaf.path.split('.').at(-1) ?? leaf.path;
}

function leafLines(leaf: LeafPath, template: Template, indent: string): string[] {
  const key = keyOf(leaf);
  const notes = (template.notes.get(leaf.path) ?? []).map((note) => `${indent}# ${oneLine(note)}`);
  const head = [...about(leaf, indent), ...notes];
  const value = template.values.get(leaf.path);
  if (value === undefined) return [...head, `${indent}# ${defaultLine(leaf)}`];
  if (!Array.isArray(value)) return [...head, `${indent}${key}: ${scalar(value)}`];
  const entries = value.flatMap((entry: unknown) => {
    const why = template.entryNotes.get(String(entry));
    return [...(why ? comment(why, `${indent}  `) : []), `${indent}  - ${scalar(entry)}`];
  });
  return [
    ...head,
    ...(entries.length === 0 ? [`${indent}${key}: []`] : [`${indent}${key}:`, ...entries]),
  ];
}

/** One value on one line, quoted where YAML needs it. */
function scalar(value: unknown): string {
  return stringify(value, { lineWidth: 0, blockQuote: false }).trimEnd();
}

/** Names may hold line breaks; a comment may not. */
export function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, '\u{fffd}');
}

function comment(text: string, indent: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of oneLine(text).split(' ')) {
    if (line !== '' && indent.length + 2 + line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return text === '' ? [] : [...lines, line].map((l) => `${indent}# ${l}`);
}
