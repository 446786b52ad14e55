/**
 * Texts of records that cdc wrote before they carried a version: words that colons join, and JSON. What they say in
 * the form of core/records.ts, undefined where it was forgotten; `cdc apply` writes them anew.
 */
export const LEGACY = {
  pipeline: json,
  /** `29003544` of a slot, `29107632:16487` of a table. */
  floor: forgettable((text) => {
    const [position, oid] = text.split(':');
    return { position, ...(oid === undefined ? {} : { oid: number(oid) }) };
  }),
  /** `needed:16487`, `29127575:16487`, `29127575:16487:apply`, `done`. */
  snapshot: (text) => {
    if (text === 'done') return undefined;
    const [state, oid, by] = text.split(':');
    return state === 'needed'
      ? { state, oid: number(oid) }
      : { state: 'begun', oid: number(oid), version: state, isOfApply: by === 'apply' };
  },
  /** `<form>:16487`. */
  shape: (text) => {
    const [, shape, oid] = /^(.+):(\d+)$/s.exec(text) ?? [];
    return { oid: number(oid), shape };
  },
  /** `begun:16487`, `done:16487:29107632`. */
  history: (text) => {
    const [state, oid, version] = text.split(':');
    return { state, oid: number(oid), ...(version === undefined ? {} : { version }) };
  },
  'history end': (text) => (text === 'open' ? undefined : { ended: text === 'ended' }),
  /** `16487:why`. */
  failure: forgettable((text) => {
    const [, oid, why] = /^(\d+):(.*)$/s.exec(text) ?? [];
    return { oid: number(oid), why };
  }),
  gap: json,
  positions: json,
  storage: json,
  membership: json,
  isolated: json,
  'set aside': forgettable(json),
  names: json,
  rules: forgettable(json),
  debezium: (text) => (text === 'failed' ? undefined : json(text)),
} satisfies Record<string, (text: string) => unknown>;

/** What a view of such a table's history read then, as ClickHouse shows it. */
export const LEGACY_HISTORY_SQL = {
  isDone: "startsWith(state, 'done')",
  version: "splitByChar(':', state)[3]",
  isEnded: "state = 'ended'",
} as const;

function forgettable(read: (text: string) => unknown) {
  return (text: string) => (text === '' ? undefined : read(text));
}

/** No digits are no number, which no record takes. */
function number(digits: string | undefined): number | undefined {
  return digits ? Number(digits) : undefined;
}

/** Of what is no JSON, something that no record looks like. */
function json(text: string): unknown {
  try {
    return JSON.parse(text) ?? text;
  } catch {
    return text;
  }
}
