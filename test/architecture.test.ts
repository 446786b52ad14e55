import { readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';
import { COMMANDS } from '../cli/commands/registry.ts';
import type { CommandSpec } from '../cli/kernel/program.ts';
import { packageRoot } from '../cli/lib/packageRoot.ts';
import { sourceFiles } from './harness/sources.ts';

const read = (path: string) => readFileSync(join(packageRoot(), path), 'utf8');
const shipped = sourceFiles('cli');

/** Files of the project that a file imports. */
function importsOf(path: string): string[] {
  const specifiers = read(path).matchAll(/(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+)'/g);
  return [...specifiers].map((match) => normalize(join(dirname(path), match[1] ?? '')));
}

/** Packages and node modules that a file imports. */
function packagesOf(path: string): string[] {
  return [...read(path).matchAll(/from '([^.'][^']*)'/g)].map((match) => match[1] ?? '');
}

const below = (folder: string) => shipped.filter((path) => path.startsWith(`${folder}/`));

/** By folder, what its files may import beside one another; the rooms of the pipeline from the lowest to the highest. */
const BELOW = ['core', 'lib', 'config', 'components', 'stack'];
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  kernel: ['core', 'lib'],
  config: ['core', 'lib'],
  workloads: ['core'],
  stack: ['core', 'lib', 'config'],
  'pipeline/state': [...BELOW, 'kernel', 'runtimes/choice.ts', 'runtimes/resolve.ts'],
  'pipeline/inspect': [...BELOW, 'workloads', 'pipeline/state', 'runtimes/resolve.ts'],
  'pipeline/load': [...BELOW, 'pipeline/state', 'pipeline/inspect'],
  'pipeline/apply': [...BELOW, 'pipeline/state', 'pipeline/inspect', 'pipeline/load'],
  'pipeline/verify': [...BELOW, 'pipeline/state', 'pipeline/inspect', 'pipeline/load'],
  'pipeline/status': [
    ...[...BELOW, 'kernel', 'backup/store.ts'],
    ...['choice', 'ports', 'registry', 'resolve', 'runtime'].map((name) => `runtimes/${name}.ts`),
    ...['pipeline/state', 'pipeline/inspect', 'pipeline/apply'],
  ],
  bench: [...BELOW, 'pipeline'],
  chaos: [...BELOW, 'pipeline', 'runtimes/runtime.ts'],
  backup: [...BELOW, 'pipeline', 'runtimes'],
  metrics: [...BELOW, 'pipeline', 'runtimes', 'backup'],
  agent: [...BELOW, 'pipeline', 'metrics', 'runtimes', 'backup'],
};

/** `cli/components/kafka` of a path in it; undefined elsewhere. */
const componentOf = (path: string) => /^cli\/components\/[^/]+/.exec(path)?.[0];

function violations(files: readonly string[], allowed: (path: string, of: string) => boolean) {
  return files.flatMap((file) =>
    importsOf(file)
      .filter((path) => !allowed(path, file))
      .map((path) => `${file} imports ${path}`),
  );
}

/** Code without comments and texts, where words can stand for anything. */
function code(path: string): string {
  return read(path)
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/(^|\s)\/\/.*$/gm, '')
    .replace(/'(?:[^'\\\n]|\\.)*'/g, "''")
    .replace(/`[^`$]*`/g, '``');
}

describe('who may import whom', () => {
  it('every file that is imported exists, with its extension', () => {
    const known = new Set([...shipped, ...sourceFiles('grafana'), ...sourceFiles('test')]);
    expect(violations([...known], (path) => known.has(path))).toEqual([]);
  });

  it('core imports nothing but core and lib', () => {
    const allowed = (path: string) => /^cli\/(core|lib)\//.test(path);
    expect(violations(below('cli/core'), allowed)).toEqual([]);
  });

  it('core is pure: no clock, no process, no client, nothing to wait for', () => {
    const pure = ['node:crypto', 'zod'];
    const packages = below('cli/core').flatMap(packagesOf);
    expect(packages.filter((name) => !pure.includes(name))).toEqual([]);
    const impure = /\b(process|Date\.now|new Date\(\)|performance|setTimeout|await|Math\.random)\b/;
    expect(below('cli/core').filter((path) => impure.test(code(path)))).toEqual([]);
  });

  it('what core uses of lib does not reach further', () => {
    const used = new Set(
      below('cli/core')
        .flatMap(importsOf)
        .filter((p) => p.startsWith('cli/lib/')),
    );
    const allowed = (path: string) => /^cli\/(core|lib)\//.test(path);
    expect(violations([...used], allowed)).toEqual([]);
    expect([...used].flatMap(packagesOf)).toEqual([]);
  });

  it('lib is a leaf: it imports lib and the catalogue of problems', () => {
    const allowed = (path: string) =>
      path.startsWith('cli/lib/') || path === 'cli/core/problems.ts';
    expect(violations(below('cli/lib'), allowed)).toEqual([]);
  });

  it('components import neither one another nor a runtime, but for what a stack is', () => {
    const allowed = (path: string, of: string) =>
      /^cli\/(core|lib|config)\//.test(path) ||
      path === 'cli/stack/endpoints.ts' ||
      componentOf(path) === componentOf(of);
    expect(violations(below('cli/components'), allowed)).toEqual([]);
  });

  it('no file reaches itself by what it imports', () => {
    const graph = new Map(shipped.map((path) => [path, importsOf(path)]));
    const done = new Set<string>();
    const circles: string[] = [];
    const visit = (path: string, way: readonly string[]) => {
      if (way.includes(path)) circles.push([...way.slice(way.indexOf(path)), path].join(' → '));
      if (done.has(path) || way.includes(path)) return;
      for (const next of graph.get(path) ?? []) visit(next, [...way, path]);
      done.add(path);
    };
    for (const path of shipped) visit(path, []);
    expect(circles).toEqual([]);
  });

  it.each(Object.entries(MAY_IMPORT))(
    '%s imports nothing but what is listed for it',
    (folder, others) => {
      const allowed = (path: string) =>
        [folder, ...others].some((one) => path === `cli/${one}` || path.startsWith(`cli/${one}/`));
      expect(violations(below(`cli/${folder}`), allowed)).toEqual([]);
    },
  );

  it('every folder, and every one of the pipeline, has such a list or a rule of its own', () => {
    const folderOf = (path: string) => /^cli\/(pipeline\/[^/]+|[^/]+)\//.exec(path)?.[1];
    const known = [...Object.keys(MAY_IMPORT), 'components', 'core', 'lib', 'runtimes', 'commands'];
    expect(
      shipped.filter(
        (path) => !known.includes(folderOf(path) ?? 'main.ts') && path !== 'cli/main.ts',
      ),
    ).toEqual([]);
  });

  it('nothing imports a command, but commands and main', () => {
    const others = shipped.filter((path) => !/^cli\/(commands\/|main\.ts)/.test(path));
    expect(violations(others, (path) => !path.startsWith('cli/commands/'))).toEqual([]);
  });

  it('dashboards are made of core alone', () => {
    const allowed = (path: string) => /^(grafana\/src|cli\/core)\//.test(path);
    expect(violations(sourceFiles('grafana'), allowed)).toEqual([]);
  });

  it('runtimes import neither components, nor the agent, nor the pipeline', () => {
    const allowed = (path: string) => !/^cli\/(components|agent|pipeline|commands)\//.test(path);
    expect(violations(below('cli/runtimes'), allowed)).toEqual([]);
  });

  it('no runtime knows another, and only the registry, the agent and commands know one', () => {
    const runtimeOf = (path: string) => /^cli\/runtimes\/(embedded|compose)\//.exec(path)?.[1];
    const mayKnow = /^cli\/(agent\/|commands\/|runtimes\/registry\.ts)/;
    const allowed = (path: string, of: string) =>
      runtimeOf(path) === undefined || runtimeOf(path) === runtimeOf(of) || mayKnow.test(of);
    expect(violations(shipped, allowed)).toEqual([]);
  });
});

describe('house rules', () => {
  /** A program of its own, which ends as programs do. */
  const OWN_PROCESS = [
    'cli/main.ts',
    ...['clickhouse-host', 'keeper'].map((name) => `cli/runtimes/embedded/${name}.ts`),
  ];

  it('only main.ts ends the process, reads its arguments and writes to its streams', () => {
    const pattern = /\bprocess\.(exit|argv|stdout|stderr|stdin|exitCode)\b|\bconsole\.\w+\(/;
    const found = shipped.filter((path) => !OWN_PROCESS.includes(path) && pattern.test(code(path)));
    expect(found).toEqual([]);
  });

  it('only main.ts reads the environment and the folder it was started in', () => {
    const pattern = /\bprocess\.(env|cwd\(\))/;
    const found = shipped.filter((path) => !OWN_PROCESS.includes(path) && pattern.test(code(path)));
    expect(found).toEqual([]);
  });

  it('files stay under 400 lines', () => {
    const all = [...shipped, ...['bin', 'grafana', 'test'].flatMap(sourceFiles)];
    const long = all.filter((path) => read(path).trimEnd().split('\n').length > 400);
    expect(long).toEqual([]);
  });

  it('what runs before packages are installed needs none of them, and no verb imports another', () => {
    const early = sourceFiles('bin');
    expect(early.filter((path) => packagesOf(path).some((name) => !/^node:/.test(name)))).toEqual(
      [],
    );
    const inner = early.filter((path) => /^bin\/(lib|verbs)\//.test(path));
    expect(violations(inner, (path) => path.startsWith('bin/lib/'))).toEqual([]);
  });

  it('there are no default exports and no barrels', () => {
    expect(shipped.filter((path) => /^export default/m.test(read(path)))).toEqual([]);
    expect(
      shipped.filter((path) => /^export \* from|\/index\.ts$/m.test(`${read(path)}${path}`)),
    ).toEqual([]);
  });

  it('names, identifiers and literals are quoted in one module', () => {
    const quoting = /replaceAll\(['"`]['"`]['"`], ['"`]['"`]{2}/;
    expect(shipped.filter((path) => path !== 'cli/lib/sql.ts' && quoting.test(read(path)))).toEqual(
      [],
    );
  });

  it('nothing waits without lib/wait', () => {
    const allowed = ['cli/lib/wait.ts'];
    const found = shipped.filter(
      (path) => !allowed.includes(path) && /node:timers\/promises|setInterval\(/.test(read(path)),
    );
    expect(found).toEqual([]);
  });
});

describe('commands', () => {
  const flat = (
    specs: readonly CommandSpec[],
    parents: readonly string[] = [],
  ): [string, CommandSpec][] =>
    specs.flatMap((spec) => {
      const path = [...parents, spec.usage.split(' ')[0] ?? ''];
      return [[path.join(' '), spec] as [string, CommandSpec], ...flat(spec.commands ?? [], path)];
    });

  it.each(flat(COMMANDS))('%s has a summary, and an example that runs it', (path, spec) => {
    expect(spec.summary).not.toBe('');
    expect(spec.summary).not.toMatch(/\.$/);
    expect(spec.examples.length).toBeGreaterThan(0);
    const own = spec.examples.some((example) => new RegExp(`\\bcdc ${path}\\b`).test(example));
    expect(own).toBe(true);
    expect(spec.run === undefined).toBe(spec.commands !== undefined);
  });

  it('no two have the same name', () => {
    const names = flat(COMMANDS).map(([path]) => path);
    expect(new Set(names).size).toBe(names.length);
  });
});

describe('versions', () => {
  it('of jars are the same in versions.json and in connectors/pom.xml', () => {
    const { jars } = JSON.parse(read('versions.json')) as { jars: Record<string, string> };
    const pom = read('connectors/pom.xml');
    const inPom = Object.fromEntries(
      [...pom.matchAll(/<(\w+)\.version>([^<]+)</g)].map((match) => [match[1], match[2]]),
    );
    expect(inPom).toEqual(jars);
    const literal = [...pom.matchAll(/<dependency>.*?<version>([^<]+)</gs)].map(
      (match) => match[1],
    );
    expect(literal.filter((version) => !version?.startsWith('${'))).toEqual([]);
  });
});
