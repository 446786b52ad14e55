import { createHash } from 'node:crypto';
import { chLiteral } from '../lib/sql.ts';
import type { StorageObject, TablePlan, TargetObject } from './ddl.ts';
import type { HistoryObjects } from './history-ddl.ts';
import { DEFAULT_PIPELINE, type TableId, tableLabel, tableLabelKey } from './names.ts';
import { type PublishedTable, sameColumns } from './source.ts';
import type { StorageMarks } from './storage.ts';

/** An object in ClickHouse as it stands. */
export interface ObservedObject {
  readonly database: string;
  readonly name: string;
  readonly engine: string;
  /** Another one when it was dropped and made again; undefined where the database gives none. */
  readonly uuid?: string | undefined;
  /** Digest of the statement that made it; absent when cdc did not make it. */
  readonly digest: string | undefined;
  /** The own database of the pipeline whose object it is, where that is another one. */
  readonly otherOwn?: string | undefined;
  /** How it is stored, where cdc.yaml says something of that. */
  readonly marks: StorageMarks;
  /** What follows the columns in its statement, as ClickHouse writes it; read where options are to be others. */
  readonly engineFull: string;
  /** Where it stands until it is moved. */
  readonly movedFrom?: { readonly database: string; readonly name: string };
  readonly columns: readonly ObservedColumn[];
}

export interface ObservedColumn {
  readonly name: string;
  readonly type: string;
  readonly isKey: boolean;
  /** Computed from others (MATERIALIZED, ALIAS): somebody else's. */
  readonly isComputed: boolean;
  /** Somebody else's, whatever it is: the view of the copy does not have it. */
  readonly isForeign?: boolean;
  /** `DEFAULT now()`, as ClickHouse writes it; empty where there is none. */
  readonly expression?: string;
  readonly hasCodec: boolean;
}

/** All objects of the target, ordered so that what a statement names exists by then. */
export interface DesiredTarget {
  /** The pipeline's own. */
  readonly database: string;
  readonly databases: readonly string[];
  readonly own: readonly TargetObject[];
  readonly tables: readonly {
    readonly plan: TablePlan;
    readonly storage: StorageObject;
    readonly view: TargetObject;
    readonly history: HistoryObjects | undefined;
  }[];
  readonly sharedQueues: readonly DesiredSharedQueue[];
}

/** All of them that a plan may make or alter. */
export function objectsOf({ own, tables, sharedQueues }: DesiredTarget): TargetObject[] {
  return [
    ...own,
    ...tables.flatMap(({ storage, view, history }) => [
      storage,
      view,
      ...(history ? [history.versions, history.log, history.changes, history.asOf] : []),
    ]),
    ...sharedQueues.flatMap(({ queue, behind, reader }) => [queue, ...behind, reader]),
  ];
}

/** A queue, what hangs behind its reader, and the reader. */
export interface DesiredSharedQueue {
  readonly queue: TargetObject;
  /** In the order in which they are made: the Null table, then the views behind it. */
  readonly behind: readonly TargetObject[];
  /** The one view on the queue: made last and removed first, since it starts the reading. */
  readonly reader: TargetObject;
}

export function objectKey(object: { database: string; name: string }): string {
  return JSON.stringify([object.database, object.name]);
}

/** What is kept in an object's comment, to tell whether its statement has changed. */
export function digestOf(object: TargetObject): string {
  return createHash('sha256').update(object.create).digest('hex').slice(0, 16);
}

const COMMENT_PREFIX = 'cdc ';

export function commentOf(object: TargetObject & { readonly marks?: StorageMarks }): string {
  const { layout = '', options = '' } = object.marks ?? {};
  const marks = layout || options ? ` ${layout || '-'} ${options || '-'}` : '';
  return `${COMMENT_PREFIX}${object.kind} ${digestOf(object)}${marks}${ownerMark(object.own)}`;
}

/** Whose it is. Of the pipeline without a name nothing is said: earlier versions knew no other. */
function ownerMark(own: string): string {
  return own === DEFAULT_PIPELINE ? '' : `${OF}${own}`;
}

const OF = ' of ';

/** Condition, in SQL: the comment says that the object is one of a pipeline's, of some kind or of any. */
export function isOwnedSql(own: string, kind = '', column = 'comment'): string {
  const begin = chLiteral(`${COMMENT_PREFIX}${kind}${kind && ' '}%`);
  const mark = ownerMark(own);
  const end =
    mark === ''
      ? `position(${column}, ${chLiteral(OF)}) = 0`
      : `endsWith(${column}, ${chLiteral(mark)})`;
  return `(${column} LIKE ${begin} AND ${end})`;
}

/** What a comment of ours says. */
export function parseComment(
  comment: string,
): { kind: string; digest: string; marks: StorageMarks; own: string } | undefined {
  const match =
    /^cdc (queue|fanout|storage|view|materialized-view|aggregate) ([0-9a-f]{16})(?: ([0-9a-f]{8}|-) ([0-9a-f]{8}|-))?(?: of (\w+))?$/.exec(
      comment,
    );
  const [, kind, digest, layout = '-', options = '-', own = DEFAULT_PIPELINE] = match ?? [];
  if (!kind || !digest) return undefined;
  const mark = (text: string) => (text === '-' ? '' : text);
  return { kind, digest, marks: { layout: mark(layout), options: mark(options) }, own };
}

/** The statement with its comment. */
export function createStatement(object: TargetObject): string {
  return `${object.create}\nCOMMENT '${commentOf(object)}'`;
}

/** Tables that join and leave the publication, or get another filter or other columns. Our own are always in it. */
export function publicationDiff(
  present: readonly PublishedTable[],
  wanted: readonly PublishedTable[],
  ownTables: readonly TableId[],
): { add: PublishedTable[]; remove: PublishedTable[]; filter: PublishedTable[] } {
  const all: readonly PublishedTable[] = [...wanted, ...ownTables];
  const has = new Map(present.map((id) => [tableLabelKey(id), id]));
  const want = new Set(all.map(tableLabelKey));
  return {
    add: all.filter((id) => !has.has(tableLabelKey(id))),
    remove: present.filter((id) => !want.has(tableLabelKey(id))),
    filter: all.filter((id) => {
      const found = has.get(tableLabelKey(id));
      return found !== undefined && !isPublishedAs(found, id);
    }),
  };
}

/** Whether the publication has the same rows and columns of it. */
function isPublishedAs(present: PublishedTable, wanted: PublishedTable): boolean {
  return present.where === wanted.where && sameColumns(present.listed, wanted.listed);
}

/** Names of the options that differ; never their values, since a plan is shown. */
export function connectorDiff(
  present: Readonly<Record<string, string>> | undefined,
  wanted: Readonly<Record<string, string>>,
): string[] {
  if (!present) return Object.keys(wanted);
  const keys = new Set([...Object.keys(present), ...Object.keys(wanted)]);
  keys.delete('name');
  return [...keys].filter((key) => present[key] !== wanted[key]).sort();
}

export function tableObject(id: TableId): string {
  return `table ${tableLabel(id)}`;
}
