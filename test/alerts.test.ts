import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { configSchema } from '../cli/config/schema.ts';
import { ALERT_NAMES, ALERTS, INHIBITIONS, runbookPath } from '../cli/core/alerts.ts';
import { alertExpression, RECORDING } from '../cli/core/rules.ts';
import { packageRoot } from '../cli/lib/packageRoot.ts';
import {
  alertmanagerConfig,
  inhibitRules,
  prometheusConfig,
} from '../cli/runtimes/embedded/observers/config.ts';
import { webConfig } from '../cli/runtimes/settings/web.ts';
import { runProgram } from './harness/programs.ts';
import { unknownSeries } from './harness/promql.ts';

const at = (...path: string[]) => join(packageRoot(), ...path);
const text = (...path: string[]) => readFileSync(at(...path), 'utf8');

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cdc-alerts-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function written(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

interface RuleTests {
  tests: {
    name: string;
    alert_rule_test: { alertname: string; exp_alerts?: unknown[] }[];
  }[];
}

describe('the rules', () => {
  const { tests } = parse(text('prometheus', 'tests', 'alerts.yml')) as RuleTests;
  const casesOf = (name: string) =>
    tests.flatMap((t) => t.alert_rule_test).filter((test) => test.alertname === name);

  it('fire and are quiet as prometheus/tests says', async () => {
    const files = readdirSync(at('prometheus', 'tests')).map((f) => at('prometheus', 'tests', f));
    const ran = await runProgram('promtool', 'test', 'rules', ...files);
    expect(ran.output).toContain('SUCCESS');
    expect(ran.ok, ran.output).toBe(true);
  });

  it.each(ALERT_NAMES)('%s has a case in which it fires, and one in which it does not', (name) => {
    const fires = casesOf(name).map((test) => (test.exp_alerts ?? []).length > 0);
    expect(fires).toContain(true);
    expect(fires).toContain(false);
  });

  it.each(ALERT_NAMES)('%s names series that exist', (name) => {
    expect(unknownSeries(alertExpression(name))).toEqual([]);
  });

  it.each(Object.entries(RECORDING))('%s is made of series that exist', (_name, expr) => {
    expect(unknownSeries(expr('2m'))).toEqual([]);
  });

  it('a series that does not exist is noticed', () => {
    expect(
      unknownSeries('rate(cdc_end_to_end_seconds_bucket[5m]) > cdc_slot_retained_byte'),
    ).toEqual(['cdc_slot_retained_byte']);
  });
});

describe('the runbooks', () => {
  it('are one per alert', () => {
    const there = readdirSync(at('docs', 'runbooks')).sort();
    expect(there).toEqual(ALERT_NAMES.map((name) => `${name}.md`).sort());
  });

  it.each(ALERT_NAMES)('%s says what it means, what to look at, and what to type', (name) => {
    const runbook = text(runbookPath(name));
    expect(runbook.startsWith(`# ${name}\n`)).toBe(true);
    for (const section of ['## What it means', '## Look', '## Do']) {
      expect(runbook).toContain(`\n${section}\n`);
    }
    // What the alert itself says to type is explained.
    const verb = /^cdc [a-z]+/.exec(ALERTS[name].fix)?.[0] ?? ALERTS[name].fix.split(';')[0];
    expect(runbook).toContain(verb);
  });
});

describe('the configuration', () => {
  const passwords = { agent: '/tmp/agent', clickhouse: '/tmp/clickhouse' };
  const targets = {
    agent: '127.0.0.1:1',
    clickhouse: { host: '127.0.0.1:2', scheme: 'http' },
    kafka: ['127.0.0.1:3'],
    connect: '127.0.0.1:4',
    observers: {
      prometheus: '127.0.0.1:5',
      alertmanager: '127.0.0.1:6',
      node_exporter: '127.0.0.1:7',
      postgres_exporter: '127.0.0.1:8',
    },
  };
  const embedded = prometheusConfig(targets, passwords, 'cdc', at('prometheus/rules/*.yml'));
  const jobsOf = (yaml: string) =>
    (parse(yaml) as { scrape_configs: { job_name: string }[] }).scrape_configs.map(
      (job) => job.job_name,
    );

  it('of Prometheus is one that it takes, in both runtimes', async () => {
    const compose = text('prometheus', 'compose', 'prometheus.yml');
    for (const yaml of [embedded, compose]) {
      const file = written('prometheus.yml', yaml);
      const ran = await runProgram('promtool', 'check', 'config', '--syntax-only', file);
      expect(ran.ok, ran.output).toBe(true);
    }
    const shared = jobsOf(compose).filter((job) => job !== 'kafka-exporter');
    expect(jobsOf(embedded).sort()).toEqual(shared.sort());
  });

  it('of Alertmanager is one that it takes, whatever is configured', async () => {
    const none = configSchema.parse({}).alerts;
    const all = configSchema.parse({
      alerts: {
        mail_to: 'ops@example.com',
        mail_server: 'mail.example.com:587',
        mail_username: 'ops',
      },
    }).alerts;
    const secrets = {
      webhook: 'https://hooks.example.com/1',
      slackFile: '/tmp/slack',
      mailPasswordFile: '/tmp/mail',
    };
    const nothing = { webhook: undefined, slackFile: undefined, mailPasswordFile: undefined };
    for (const yaml of [
      alertmanagerConfig('http://127.0.0.1:1', passwords, none, nothing),
      alertmanagerConfig('http://127.0.0.1:1', passwords, all, secrets),
      text('prometheus', 'compose', 'alertmanager.yml'),
    ]) {
      const ran = await runProgram('amtool', 'check-config', written('alertmanager.yml', yaml));
      expect(ran.ok, ran.output).toBe(true);
    }
  });

  it('silences in compose what it silences in the embedded runtime', () => {
    const compose = parse(text('prometheus', 'compose', 'alertmanager.yml'));
    expect(compose.inhibit_rules).toEqual(inhibitRules());
    for (const { source, targets: silenced } of INHIBITIONS) expect(silenced).not.toContain(source);
  });

  it('holds no password but its hash', () => {
    const web = webConfig('the password');
    expect(web).not.toContain('the password');
    expect(parse(web).basic_auth_users.cdc).toMatch(/^\$2[aby]\$/);
    expect(embedded).not.toMatch(/password: /);
  });
});
