import { once } from 'node:events';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import axios from 'axios';
import { connectPostgres } from '../../cli/components/postgres/client.ts';
import { type RuleSettings, ruleFiles } from '../../cli/core/rules.ts';
import { findMarked } from '../../cli/lib/processes.ts';
import { attach, type Stack } from '../../cli/pipeline/state/stack.ts';
import { type Ran, runCommand, testContext } from './cli.ts';
import { eventually } from './database.ts';

export interface Series {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

interface Answer {
  status: string;
  error?: string;
  data: {
    result: { metric: Record<string, string>; value: [number, string] }[];
    alerts: { labels: Record<string, string>; state: string }[];
    groups: {
      name: string;
      rules: { name: string; duration?: number; health: string; lastError?: string }[];
    }[];
    activeTargets: { labels: Record<string, string>; health: string; lastError: string }[];
  };
}

/** A small stack of its own with Prometheus, Alertmanager and exporters, for tests that break it. */
export class ObservedStack {
  readonly directory = realpathSync(mkdtempSync(join(tmpdir(), 'cdc-observed-')));
  /** What was posted to the webhook of cdc.yaml: names of alerts, with `firing` or `resolved`. */
  readonly posted: string[] = [];
  private readonly webhook = createServer((request, response) => {
    text(request)
      .then((body) => {
        for (const { status, labels } of JSON.parse(body).alerts)
          this.posted.push(`${status}: ${labels.alertname}`);
      })
      .finally(() => response.end());
  });

  async up(): Promise<void> {
    this.webhook.listen(0, '127.0.0.1');
    await once(this.webhook, 'listening');
    const { port } = this.webhook.address() as AddressInfo;
    writeFileSync(join(this.directory, 'pager.url'), `http://127.0.0.1:${port}/page\n`);
    const settings = ['ports: auto', 'agent: { schema_changes: report }', 'observability: on'];
    settings.push('backup: { to: backups }');
    settings.push('alerts: { webhook_file: pager.url }');
    writeFileSync(join(this.directory, 'cdc.yaml'), `${settings.join('\n')}\n`);
    mkdirSync(join(this.directory, '.cdc'), { mode: 0o700 });
    const secrets = JSON.stringify({
      // One of 64 generated ids begins like an option.
      kafkaClusterId: '-1234567890abcdefghijA',
      // The digest of one of 16 begins with a zero, which the JMX agent leaves out: here with two.
      agent: 'figures-of-a-test-1160',
    });
    writeFileSync(join(this.directory, '.cdc', 'secrets.json'), secrets, { mode: 0o600 });
    await this.json('up');
    await eventually('Prometheus, Alertmanager and exporters', 4, async () => {
      return this.stack().agent?.observers.filter(({ state }) => state === 'ready').length ?? 0;
    });
  }

  async down(): Promise<void> {
    await this.json('down', '--delete-data');
    this.webhook.close();
    const left = findMarked(`CDC_STACK=${join(this.directory, '.cdc')}`);
    if (left.length > 0) throw new Error(`cdc down left processes: ${left.join(', ')}`);
    rmSync(this.directory, { recursive: true, force: true });
  }

  stack(): Stack {
    return attach(testContext({ cwd: this.directory }).context, {});
  }

  run(...argv: string[]): Promise<Ran> {
    return runCommand(argv, { cwd: this.directory });
  }

  // biome-ignore lint/suspicious/noExplicitAny: a test says what it expects to find
  async json(...argv: string[]): Promise<any> {
    const ran = await this.run(...argv, '--json');
    if (ran.exit !== 0)
      throw new Error(`cdc ${argv.join(' ')} ended with ${ran.exit}:\n${ran.stderr}`);
    return ran.json();
  }

  async source<T>(statement: string): Promise<T[]> {
    const client = await connectPostgres(this.stack().endpoints.postgres);
    try {
      return (await client.query(statement)).rows as T[];
    } finally {
      await client.end();
    }
  }

  pid(name: string): number {
    const { servers, observers } = this.stack().agent ?? { servers: [], observers: [] };
    const pid = [...servers, ...observers].find((server) => server.name === name)?.pid;
    if (pid === undefined) throw new Error(`${name} does not run`);
    return pid;
  }

  /** The agent’s page, as series. */
  async metrics(): Promise<Series[]> {
    const { agent, secrets } = this.stack();
    const answer = await axios.get<string>(`${agent?.metricsUrl}/metrics`, {
      auth: { username: 'cdc', password: secrets.agent },
      proxy: false,
      responseType: 'text',
    });
    return answer.data.split('\n').flatMap((line) => {
      const match = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line);
      if (!match) return [];
      const labels = [...(match[2] ?? '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)];
      const named = Object.fromEntries(labels.map(([, key = '', value = '']) => [key, value]));
      return [{ labels: { __name__: match[1] ?? '', ...named }, value: Number(match[3]) }];
    });
  }

  private async ask(path: string, params: object = {}): Promise<Answer['data']> {
    const { agent, secrets } = this.stack();
    const answer = await axios.get<Answer>(
      `http://127.0.0.1:${agent?.extraPorts?.prometheus}/api/v1/${path}`,
      {
        auth: { username: 'cdc', password: secrets.agent },
        params,
        proxy: false,
        validateStatus: () => true,
      },
    );
    if (answer.data.status !== 'success') {
      throw new Error(answer.data.error ?? `HTTP ${answer.status}`);
    }
    return answer.data.data;
  }

  /** Asks Prometheus; throws with its words when it refuses. */
  async query(expression: string): Promise<Series[]> {
    const { result } = await this.ask('query', { query: expression });
    // A scalar is one value without labels.
    if (typeof result[0] === 'number') return [{ labels: {}, value: Number(result[1]) }];
    return result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
  }

  async targets(): Promise<Record<string, string>> {
    const { activeTargets } = await this.ask('targets');
    return Object.fromEntries(
      activeTargets.map((target) => [target.labels.job ?? '', target.lastError || target.health]),
    );
  }

  async rules() {
    return (await this.ask('rules')).groups.flatMap(({ rules }) => rules);
  }

  /** Names of the alerts that fire now. */
  async firing(): Promise<string[]> {
    const { alerts } = await this.ask('alerts');
    const names = alerts.filter(({ state }) => state === 'firing');
    return [...new Set(names.map(({ labels }) => labels.alertname ?? ''))].sort();
  }

  /** Has Prometheus take other rules, such as ones that do not wait for minutes. */
  useRules(settings: RuleSettings): void {
    for (const [name, text] of Object.entries(ruleFiles(settings))) {
      writeFileSync(join(this.stack().layout.etc('rules'), name), text);
    }
    process.kill(this.pid('prometheus'), 'SIGHUP');
  }
}
