import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { configSchema } from '../../cli/config/schema.ts';
import { processStart } from '../../cli/lib/processes.ts';
import { publishedPorts } from '../../cli/runtimes/resolve.ts';
import { type Layout, layoutOf } from '../../cli/stack/layout.ts';
import {
  type AgentState,
  liveState,
  readContainerState,
  readState,
  writePublished,
  writeState,
  writeStopped,
} from '../../cli/stack/state.ts';

const root = mkdtempSync(join(tmpdir(), 'cdc-state-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

function layout(text?: string): Layout {
  const own = layoutOf(mkdtempSync(join(root, 'stack-')));
  mkdirSync(own.root);
  if (text !== undefined) writeFileSync(own.stateFile, text);
  return own;
}

/** As an agent writes it: with what it does not know left out. */
const AGENT = `{
  "pid": 7764,
  "processStart": "8e4d8d7d-4247-44c2-8cd6-1690a3b47a99/8030085",
  "phase": "ready",
  "runtime": "embedded",
  "profile": "low-latency",
  "settingsDigest": "8b0055f57c283710",
  "ports": { "postgres": 38475, "kafka": 39935, "connect": 42409, "clickhouse": 32775 },
  "servers": [
    { "name": "postgres", "state": "ready", "pid": 7890, "restarts": 0, "startSeconds": 0.37 },
    { "name": "kafka", "state": "failed", "restarts": 2, "detail": "it ended" }
  ],
  "observers": [{ "name": "prometheus", "state": "waiting", "restarts": 0 }],
  "extraPorts": { "agent": 32859 },
  "metricsUrl": "http://127.0.0.1:32859",
  "loops": { "schema": "10 changes to apply" },
  "problem": { "code": "A_CODE_OF_ANOTHER_VERSION", "message": "m", "cause": "c", "fix": "f" },
  "exit": 4,
  "startedAt": "2026-11-26T16:18:28.751Z"
}`;

/** As containers' files were written with until now. */
const PUBLISHED = `{
  "phase": "ready",
  "runtime": "compose",
  "view": "published",
  "project": "shop",
  "profile": "low-latency",
  "settingsDigest": "",
  "ports": { "postgres": 5432 },
  "servers": [],
  "loops": {},
  "startedAt": "2026-11-26T16:18:28.751Z"
}`;

describe('what is read', () => {
  it('is all that an agent tells', () => {
    expect(readState(layout(AGENT))).toEqual(JSON.parse(AGENT));
  });

  it('is what containers have, which no agent of this machine tells', () => {
    const own = layout(PUBLISHED);
    expect(readState(own)).toEqual({ ...JSON.parse(PUBLISHED), observers: [] });
    expect(liveState(own)).toMatchObject({ project: 'shop' });
  });

  it.each(['', '{', '[]', '{}', '{"phase":"gone"}'])(
    'is nothing where it is no state: %s',
    (text) => {
      expect(readState(layout(text))).toBeUndefined();
    },
  );

  it('is nothing where there is none', () => {
    expect(readState(layout())).toBeUndefined();
    expect(readContainerState(layout())).toBeUndefined();
  });

  it('is of an agent in a container what it has written into its own folder, for all to read', () => {
    const own = layout();
    const inside = { ...own, stateFile: join(own.root, 'agent', 'state.json') };
    mkdirSync(dirname(inside.stateFile));
    const state = { ...(JSON.parse(AGENT) as AgentState), view: 'network' as const };
    writeState(inside, state);
    expect(readContainerState(own)).toEqual(state);
    expect(statSync(inside.stateFile).mode & 0o777).toBe(0o644);
  });
});

describe('what is written', () => {
  const ports = publishedPorts(configSchema.parse({}));
  const told = { profile: 'low-latency', ports, project: 'shop' };
  const [first, later] = [new Date('2026-01-01T00:00:00Z'), new Date('2026-02-01T00:00:00Z')];

  it('is read as it was told', () => {
    const own = layout();
    const state: AgentState = {
      ...(JSON.parse(AGENT) as AgentState),
      pid: process.pid,
      processStart: processStart(process.pid),
      metricsUrl: undefined,
    };
    writeState(own, state);
    expect(readState(own)).toEqual(state);
    expect(liveState(own)).toEqual(state);
    expect(statSync(own.stateFile).mode & 0o777).toBe(0o600);
  });

  it('of containers is the same until something is', () => {
    const own = layout();
    writePublished(own, told, first);
    const before = readFileSync(own.stateFile, 'utf8');
    const { ino } = statSync(own.stateFile);
    writePublished(own, told, later);
    expect(readFileSync(own.stateFile, 'utf8')).toBe(before);
    expect(statSync(own.stateFile).ino).toBe(ino);
    writePublished(own, { ...told, project: undefined }, later);
    expect(readState(own)).toMatchObject({ phase: 'ready', startedAt: first.toISOString() });
    expect(readState(own)?.project).toBeUndefined();
  });

  it('when all is stopped keeps what the next start takes up, and containers then start anew', () => {
    const own = layout(AGENT);
    writeStopped(own);
    const { ports: kept, extraPorts } = JSON.parse(AGENT) as AgentState;
    expect(readState(own)).toMatchObject({
      phase: 'stopped',
      servers: [],
      ports: kept,
      extraPorts,
    });
    expect(liveState(own)).toBeUndefined();
    const contained = layout();
    writePublished(contained, told, first);
    writeStopped(contained);
    expect(readState(contained)).toMatchObject({ phase: 'stopped', view: 'published' });
    writePublished(contained, told, later);
    expect(readState(contained)).toMatchObject({ startedAt: later.toISOString() });
  });

  it('is nothing where nothing has started', () => {
    const own = layout();
    writeStopped(own);
    expect(readState(own)).toBeUndefined();
  });
});
