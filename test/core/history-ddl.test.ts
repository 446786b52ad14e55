import { describe, expect, it } from 'vitest';
import { digestOf } from '../../cli/core/plan.ts';
import { hasOtherKey, migrationStatements } from '../../cli/core/storageMigration.ts';
import { column, desiredFor, table } from '../harness/pipeline.ts';

const id = column('id', 'int4', { notNull: true });
const note = column('note', 'text');

function historyOf(columns = [id, note], options: Parameters<typeof table>[3] = {}) {
  const { target } = desiredFor([table('s', 't', columns, { history: true, ...options })]);
  const { history } = target.tables[0] ?? {};
  if (!history) throw new Error('no history');
  return { ...history, behind: target.sharedQueues.flatMap((sharedQueue) => sharedQueue.behind) };
}

describe('a table’s history', () => {
  it('is made only where it is asked for', () => {
    const { target } = desiredFor([table('s', 't', [id, note])]);
    expect(target.tables[0]?.history).toBeUndefined();
    expect(target.sharedQueues.flatMap((l) => l.behind).map((o) => o.name)).not.toContain(
      't_changes_mv',
    );
  });

  it('keeps changes in a form that no change of the table’s columns touches', () => {
    const other = historyOf([column('k', 'text', { notNull: true }), note]);
    expect(other.log.create).toBe(historyOf().log.create);
    expect(other.changes.create).toBe(historyOf().changes.create);
  });

  it('tells a change from every other by key and WAL position', () => {
    expect(historyOf().log.create).toContain(
      'ENGINE = ReplacingMergeTree(complete)\nORDER BY (key, version)',
    );
    expect(historyOf().changes.create).toContain('FINAL');
  });

  it('has of every row all versions that its storage has had', () => {
    const { versions, behind } = historyOf();
    expect(versions.create).toContain('ORDER BY (`id`, _version, _committed_at)');
    const view = behind.find((object) => object.name === 't_versions_mv');
    expect(view?.create).toContain('FROM `s`.`t_final`');
  });

  it('takes what was before from the source only where the whole row is sent', () => {
    const view = (replicaIdentity: 'd' | 'f') =>
      historyOf([id, note], { replicaIdentity }).behind.find((o) => o.name === 't_changes_mv')
        ?.create ?? '';
    expect(view('f')).toContain("ifNull(__cdc_row.before, '') AS before");
    expect(view('d')).not.toContain('__cdc_row.before');
  });

  it('is never dropped: with another key it begins anew beside the old one', () => {
    const { versions } = historyOf();
    const found = {
      database: 's',
      name: 't_versions',
      engine: 'ReplacingMergeTree',
      digest: '0123456789abcdef',
      marks: { layout: '', options: '' },
      engineFull: '',
      columns: versions.columns.map(({ name, type }) => ({
        name,
        type: name === 'id' ? 'Int64' : type,
        isKey: versions.key.includes(name),
        isComputed: false,
        hasCodec: false,
      })),
    };
    expect(hasOtherKey(versions, found)).toBe(true);
    const [first] = migrationStatements(versions, found, true).first;
    expect(first).toBe('RENAME TABLE `s`.`t_versions` TO `s`.`t_versions_0123456789abcdef`');
    const same = {
      ...found,
      columns: found.columns.map((c, i) => ({ ...c, type: versions.columns[i]?.type ?? '' })),
    };
    expect(hasOtherKey(versions, same)).toBe(false);
    expect(digestOf(versions)).not.toBe(found.digest);
  });
});
