import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { leafPaths } from '../../cli/config/describe.ts';
import { loadConfig } from '../../cli/config/load.ts';
import { Problem } from '../../cli/core/problems.ts';

let cwd: string;

beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'cdc-config-'));
});

afterEach(() => {
  rmSync(cwd, { recursive: true });
});

type Options = Omit<Parameters<typeof loadConfig>[0], 'cwd' | 'env'> & {
  env?: Record<string, string>;
};

function load(yaml: string | undefined, options: Options = {}) {
  if (yaml !== undefined) writeFileSync(join(cwd, 'cdc.yaml'), yaml);
  return loadConfig({ cwd, env: {}, ...options });
}

function problemOf(yaml: string | undefined, options: Options = {}): Problem {
  try {
    load(yaml, options);
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

describe('cdc.yaml', () => {
  it('is not needed: everything has a default', () => {
    const { config, file, directory } = load(undefined);
    expect(file).toBeUndefined();
    expect(directory).toBe(cwd);
    expect(config).toMatchObject({ name: 'cdc', runtime: 'auto', profile: 'low-latency' });
    expect(config.source.include).toEqual(['*.*']);
  });

  it.each(['', '# nothing\n', '---\n', '{}'])('may be empty: %j', (yaml) => {
    expect(load(yaml).config.name).toBe('cdc');
  });

  it('gives the nearest key where one is unknown', () => {
    const { causeText } = problemOf('profil: balanced\nsource: { exlude: [a] }\n');
    expect(causeText).toContain('unknown key profil (did you mean profile?)');
    expect(causeText).toContain('unknown key source.exlude (did you mean source.exclude?)');
  });

  it('lists the known keys where none is near', () => {
    expect(problemOf('source: { zzzzzzzzz: 1 }\n').causeText).toMatch(
      /unknown key source\.zzzzzzzzz \(known: url, .*slot, column_lists\)/,
    );
  });

  it('reports all problems at once', () => {
    const yaml = [
      'name: Bad Name',
      'profil: x',
      'runtime: cloud',
      'source: { url: mysql://x, slot: BAD }',
      'ports: { postgres: 99999 }',
    ].join('\n');
    const problem = problemOf(yaml);
    expect(problem.exit).toBe(3);
    for (const word of ['name', 'profil', 'runtime', 'source.url', 'source.slot', 'ports']) {
      expect(problem.causeText).toContain(word);
    }
    const count = problem.causeText.split('\n').length;
    expect(problem.message).toBe(`cdc.yaml has ${count} problems.`);
  });

  it.each(['a: [', 'a: b: c', '- 1\n- 2', 'just text', 'a: 1\na: 2'])(
    'must be YAML: %j',
    (yaml) => {
      expect(problemOf(yaml).code).toBe('CONFIG_INVALID');
    },
  );

  it('takes ports: auto and single ports', () => {
    expect(load('ports: auto').config.ports).toBe('auto');
    expect(load('ports: { kafka: 19092 }').config.ports).toMatchObject({
      kafka: 19092,
      postgres: 5432,
    });
  });

  it('refuses a database that is ClickHouse’s or cdc’s own', () => {
    expect(problemOf('clickhouse: { database: system }').causeText).toContain(
      'clickhouse.database',
    );
    expect(problemOf('clickhouse: { database: cdc }').causeText).toContain('clickhouse.database');
    const own = 'name: shop-eu\nclickhouse: { database: cdc_shop_eu }';
    expect(problemOf(own).causeText).toContain('clickhouse.database');
    const target = 'name: shop\ntables: { public.users: { target: { database: cdc_shop } } }';
    expect(problemOf(target).causeText).toContain('tables.public.users.target.database');
  });
});

describe('--config', () => {
  it('names another file, whose folder is the stack’s', () => {
    writeFileSync(join(cwd, 'other.yaml'), 'name: other');
    expect(load(undefined, { file: 'other.yaml' }).config.name).toBe('other');
    expect(load(undefined, { env: { CDC_CONFIG: 'other.yaml' } }).config.name).toBe('other');
  });

  it('must name a file that is there', () => {
    const problem = problemOf(undefined, { file: 'missing.yaml' });
    expect(problem.message).toBe('missing.yaml has 1 problem.');
  });
});

describe('environment and flags', () => {
  it('file < environment < flag', () => {
    const yaml = 'profile: balanced';
    expect(load(yaml).config.profile).toBe('balanced');
    const env = { CDC_PROFILE: 'throughput' };
    expect(load(yaml, { env }).config.profile).toBe('throughput');
    const flags = { profile: 'low-latency' };
    expect(load(yaml, { env, flags }).config.profile).toBe('low-latency');
  });

  it('a flag that was not given and an empty variable change nothing', () => {
    const given = { env: { CDC_PROFILE: '' }, flags: { profile: undefined } };
    expect(load('profile: balanced', given).config.profile).toBe('balanced');
  });

  it('reads lists and numbers', () => {
    const { config } = load(undefined, {
      env: {
        CDC_SOURCE_INCLUDE: 'a.*, b.c',
        CDC_PORTS_KAFKA: '19092',
        CDC_KAFKA_BROKERS: 'k1:9092,k2:9092',
      },
    });
    expect(config.source.include).toEqual(['a.*', 'b.c']);
    expect(config.ports).toMatchObject({ kafka: 19092 });
    expect(config.kafka.brokers).toEqual(['k1:9092', 'k2:9092']);
  });

  it('reads what is true or false', () => {
    const lists = (value: string) =>
      load(undefined, { env: { CDC_SOURCE_COLUMN_LISTS: value } }).config.source.column_lists;
    expect([lists(''), lists('true'), lists('false')]).toEqual([true, true, false]);
    const env = { CDC_SOURCE_COLUMN_LISTS: 'no' };
    expect(problemOf(undefined, { env }).causeText).toContain('source.column_lists');
  });

  it('reads CDC_PORTS=auto', () => {
    expect(load(undefined, { env: { CDC_PORTS: 'auto' } }).config.ports).toBe('auto');
  });

  it('a bad value says it came from the environment', () => {
    const problem = problemOf(undefined, { env: { CDC_RUNTIME: 'cloud' } });
    expect(problem.message).toContain('environment');
    expect(problem.causeText).toContain('runtime');
  });

  it.each(
    leafPaths()
      .filter((l) => !l.mapping)
      .map((leaf) => [leaf.variable, leaf.path]),
  )('%s sets %s', (variable, path) => {
    const leaf = leafPaths().find((l) => l.path === path);
    expect(variable).toBe(`CDC_${path.toUpperCase().replaceAll('.', '_')}`);
    expect(leaf?.description || path.startsWith('ports.')).toBeTruthy();
  });

  it('no two keys share a variable', () => {
    const variables = leafPaths().map((leaf) => leaf.variable);
    expect(new Set(variables).size).toBe(variables.length);
  });
});
