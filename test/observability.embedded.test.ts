import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import axios from 'axios';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ClickHouse } from '../cli/components/clickhouse/client.ts';
import { kafkaClient } from '../cli/components/kafka/client.ts';
import { ALERT_NAMES, type AlertName } from '../cli/core/alerts.ts';
import { METRICS } from '../cli/core/metrics.ts';
import { alertExpression, RECORDING } from '../cli/core/rules.ts';
import { readJson } from '../cli/lib/files.ts';
import { findMarked } from '../cli/lib/processes.ts';
import { Readings } from '../cli/metrics/collectors.ts';
import { mayBeEmpty } from '../grafana/src/all.ts';
import { asSent, dashboards, queriesOf } from './harness/dashboards.ts';
import { eventually } from './harness/database.ts';
import { ObservedStack } from './harness/observed.ts';
import { commandLines, isLoopback, listeners } from './harness/processes.ts';

const observed = new ObservedStack();
const clickhouse = () => new ClickHouse(observed.stack().endpoints.clickhouse);
const FIRES_MS = 300_000;
/** WAL that a test can write in a second or two. */
const SLOT_BYTES = 32_000_000;

beforeAll(async () => {
  await observed.up();
  await observed.json('load', 'ecommerce', '--rate', '200', '--duration', '5s');
  await observed.json('apply');
  await observed.json('verify');
});

afterAll(() => observed.down());

describe('what is shown', () => {
  it('every target gives its figures', async () => {
    const jobs = [
      'alertmanager',
      'cdc',
      'clickhouse',
      'connect',
      'kafka',
      'node',
      'postgres',
      'prometheus',
    ];
    const wanted = Object.fromEntries(jobs.map((job) => [job, 'up']));
    await eventually('targets', wanted, async () => {
      const seen = await observed.targets();
      return Object.fromEntries(jobs.map((job) => [job, seen[job]]));
    });
  });

  it('every metric of the table is on the page, and nothing else', async () => {
    // There are none before the first.
    const later = [
      'cdc_table_dead_letters',
      'cdc_dead_letters_total',
      'cdc_kept_values',
      'cdc_table_standing',
      'cdc_table_gap',
    ];
    const wanted = Object.keys(METRICS).filter((name) => !later.includes(name));
    await eventually('all metrics', wanted.sort(), async () => {
      const names = (await observed.metrics()).map(({ labels }) =>
        String(labels.__name__).replace(/_seconds_(bucket|sum|count)$/, '_seconds'),
      );
      return [...new Set(names)].filter((name) => !later.includes(name)).sort();
    });
  });

  it('figures agree with what the servers say', async () => {
    const store = clickhouse();
    const [events] = await store.rows<{ n: string }>('SELECT count() AS n FROM ecommerce.events');
    await store.close();
    const verified = (await observed.json('status')).last_verified;
    const one = async (name: string, labels: object = {}) =>
      (await observed.metrics()).filter(
        (series) =>
          series.labels.__name__ === name &&
          Object.entries(labels).every(([key, value]) => series.labels[key] === value),
      );
    const sum = (list: { value: number }[]) => list.reduce((all, { value }) => all + value, 0);
    await eventually('events by type', Number(events?.n), async () =>
      sum(await one('cdc_business_events')),
    );
    expect(sum(await one('cdc_verify_rows'))).toBe(verified.rows);
    expect(sum(await one('cdc_verify_ok'))).toBe(1);
    expect(sum(await one('cdc_connector_state'))).toBe(1);
    expect(sum(await one('cdc_load_complete', { table: 'ecommerce.events' }))).toBe(1);
  });

  it('status lists what observes, and says where; env lets one in', async () => {
    const { components } = await observed.json('status');
    const names = components.map((part: { name: string }) => part.name);
    expect(names).toEqual(expect.arrayContaining(['prometheus', 'alertmanager']));
    const env = await observed.json('env');
    for (const url of [env.CDC_METRICS_URL, `${env.PROMETHEUS_URL}/-/ready`]) {
      expect((await axios.get(url, { proxy: false })).status).toBe(200);
    }
  });

  it('the agent serves its health, and the runbook of every alert', async () => {
    const { agent, secrets } = observed.stack();
    const get = (path: string) =>
      axios.get(`${agent?.metricsUrl}${path}`, {
        auth: { username: 'cdc', password: secrets.agent },
        proxy: false,
        validateStatus: () => true,
      });
    const wanted = { status: 200, data: { healthy: true, standing: [], gaps: [], troubles: {} } };
    await eventually('health', wanted, async () => {
      const { status, data } = await get('/health');
      const { healthy, standing, gaps, troubles } = data;
      return { status, data: { healthy, standing, gaps, troubles } };
    });
    for (const name of ALERT_NAMES) {
      expect((await get(`/runbooks/${name}`)).data).toContain(`# ${name}`);
    }
  });

  it('nothing listens beyond loopback, and nothing answers without a password', async () => {
    const { agent, layout } = observed.stack();
    const pids = findMarked(`CDC_STACK=${layout.root}`);
    const found = listeners(pids);
    expect(found.filter((listener) => !isLoopback(listener))).toEqual([]);
    const { kafka_jmx, connect_jmx } = agent?.ports ?? {};
    const ports = [...Object.values(agent?.extraPorts ?? {}), kafka_jmx, connect_jmx];
    expect(ports).toHaveLength(7);
    for (const port of ports) {
      for (const path of ['/metrics', '/health', '/api/v1/query?query=up', '/api/v2/alerts']) {
        const answer = await axios.get(`http://127.0.0.1:${port}${path}`, {
          proxy: false,
          validateStatus: () => true,
        });
        expect([port, path, answer.status]).toEqual([port, path, 401]);
      }
    }
  });

  it('no password is in a process’ arguments, in a log, or readable by others', () => {
    const { layout, secrets } = observed.stack();
    const { postgres, kafka, connect, clickhouse: store, agent } = secrets;
    const logs = readdirSync(layout.logs).map((name) =>
      readFileSync(join(layout.logs, name), 'utf8'),
    );
    const texts = [...commandLines(), ...logs];
    for (const secret of [postgres, kafka, connect, store, agent]) {
      expect(texts.filter((text) => text.includes(secret))).toEqual([]);
    }
    const open = readdirSync(layout.etc('.'), { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name }) => layout.etc(name))
      .filter((path) => readFileSync(path, 'utf8').includes(agent))
      .filter((path) => (statSync(path).mode & 0o077) !== 0);
    expect(open).toEqual([]);
  });
});

describe('every query', () => {
  const all = dashboards().flatMap(queriesOf);

  it('of a panel to Prometheus is understood, and finds something', async () => {
    const asked = [...new Set(all.filter(({ kind }) => kind === 'promql').map(asSent))];
    const empty = mayBeEmpty();
    await eventually('answers', [], async () => {
      const unanswered: string[] = [];
      for (const expression of asked) {
        const found = await observed.query(expression);
        const isNumber = found.some(({ value }) => Number.isFinite(value));
        if (!isNumber && !empty.has(expression)) unanswered.push(expression);
      }
      return unanswered;
    });
  });

  it('of a panel to ClickHouse is understood, and finds something', async () => {
    const store = clickhouse();
    try {
      for (const query of all.filter(({ kind }) => kind === 'sql')) {
        const rows = await store.rows<Record<string, unknown>>(asSent(query));
        const values = rows.flatMap((row) => Object.values(row));
        expect(values.length, query.where).toBeGreaterThan(0);
        expect(values, query.where).not.toContain(null);
        expect(
          values.some((value) => String(value) !== '0'),
          query.where,
        ).toBe(true);
      }
    } finally {
      await store.close();
    }
  });

  it('of a rule is understood, and names series that are there', async () => {
    const rules = await observed.rules();
    expect(rules.map(({ name }) => name).sort()).toEqual(
      [...ALERT_NAMES, ...Object.keys(RECORDING)].sort(),
    );
    await eventually('rules without trouble', [], async () =>
      (await observed.rules()).filter(({ health }) => health !== 'ok'),
    );
    const expressions = [
      ...ALERT_NAMES.map((name) => alertExpression(name)),
      ...Object.values(RECORDING).map((expr) => expr('2m')),
    ];
    const selectors = expressions.flatMap((expression) =>
      [...expression.matchAll(/\b(?:cdc[_:][\w:]+|up)(?:\{[^}]*\})?/g)].map(([text]) => text),
    );
    for (const selector of new Set(selectors)) {
      // None here: test/isolation.stack.test.ts and test/gaps.stack.test.ts have some.
      if (['cdc_table_standing', 'cdc_table_gap'].includes(selector)) continue;
      expect((await observed.query(selector)).length, selector).toBeGreaterThan(0);
    }
  });

  it('that names a metric which does not exist would fail here', async () => {
    expect(await observed.query('cdc_no_such_metric')).toEqual([]);
    await expect(observed.query('rate(cdc_up')).rejects.toThrow(/parse error/);
  });
});

describe('latencies', () => {
  it('count each heartbeat once, also by the next agent and when Kafka delivers one again', async () => {
    const { config, endpoints, names, layout } = observed.stack();
    const cursorFile = layout.etc('counted.json');
    const cursor = () => readJson<{ counted_us: number }>(cursorFile)?.counted_us ?? 0;
    let counted = 0;
    const readUntil = async (enough: number) => {
      const readings = new Readings({ config, endpoints, names, cursorFile, backups: undefined });
      await eventually('heartbeats', true, async () => {
        const samples = await readings.all.heartbeats();
        counted += samples.filter(({ metric }) => metric === 'cdc_end_to_end_seconds').length;
        return counted >= enough;
      });
      await readings.close();
    };
    await readUntil(0);
    const from = cursor();
    await readUntil(2);
    const store = clickhouse();
    await store.command(
      `INSERT INTO cdc.heartbeats (beat, version, committed_at, captured_at, queued_at)
       SELECT beat, version, committed_at, captured_at, queued_at FROM cdc.heartbeats
        WHERE toUnixTimestamp64Micro(written_at) <= ${cursor()} ORDER BY version DESC LIMIT 1`,
    );
    await readUntil(4);
    const [there] = await store.rows<{ n: string }>(
      `SELECT count() AS n FROM (SELECT toUnixTimestamp64Micro(min(written_at)) AS first FROM cdc.heartbeats GROUP BY version)
        WHERE first > ${from} AND first <= ${cursor()}`,
    );
    await store.close();
    expect(counted).toBe(Number(there?.n));
  });
});

describe('a fault', () => {
  /** Waits until alerts fire, or until none of them does. */
  const alerts = (claim: string, names: readonly AlertName[], fire: boolean) =>
    eventually(
      claim,
      fire ? [...names].sort() : [],
      async () => (await observed.firing()).filter((name) => names.includes(name as AlertName)),
      FIRES_MS,
    );

  /** Waits for lines of the log of alerts: Alertmanager tells nothing of an alert that it saw for less than 5 s. */
  const logged = (...wanted: string[]) =>
    eventually('alerts in the log', [], async () => {
      const { lines } = await observed.json('logs', 'alerts');
      const text = lines.map((line: { text: string }) => line.text).join('\n');
      return wanted.filter((words) => !text.includes(words));
    });

  beforeAll(async () => {
    // The same rules, but that they do not wait for minutes.
    observed.useRules({
      for: '1s',
      window: '20s',
      thresholds: { CdcSlotGrowing: SLOT_BYTES, CdcServerRestarting: 0 },
    });
    await eventually('shorter rules', true, async () =>
      (await observed.rules()).some(
        ({ name, duration }) => name === 'CdcPipelineStalled' && duration === 1,
      ),
    );
    await alerts('nothing fires', ALERT_NAMES, false);
  });

  it('such as a message that is no row fires the alert of dead letters, until it is discarded; a value that does not fit is counted, and fires none', async () => {
    await observed.source(
      "INSERT INTO inventory.orders (order_date, purchaser, quantity, product_id) VALUES ('20000-01-01', 1001, 1, 102)",
    );
    await eventually('the value to be counted', 1, async () => {
      const [found] = await observed.query('cdc_kept_values');
      return found?.labels.column === 'order_date' ? found.value : undefined;
    });
    await alerts('no dead letters', ['CdcDeadLetters'], false);
    const { stdout } = await observed.run('status');
    expect(stdout).toContain('inventory.orders.order_date: 1 value, such as 20000-01-01');

    const { kafka } = observed.stack().endpoints;
    const producer = kafkaClient(kafka).producer();
    await producer.connect();
    await producer.send({ topic: 'postgres-server.inventory.orders', messages: [{ value: 'no' }] });
    await producer.disconnect();
    await alerts('dead letters', ['CdcDeadLetters'], true);
    await logged('firing: CdcDeadLetters');
    const { letters } = await observed.json('dlq', 'list');
    const [found] = await observed.query('cdc_table_dead_letters');
    expect(found).toMatchObject({ labels: { reason: 'not_json' }, value: 1 });
    expect(await observed.json('status')).toMatchObject({ dead_letters: 1 });
    expect((await observed.run('status')).stdout).toContain('1 dead letter: cdc dlq list');
    await observed.json('dlq', 'discard', ...letters.map((letter: { id: string }) => letter.id));
    await observed.source("DELETE FROM inventory.orders WHERE order_date > '9999-01-01'");
    await alerts('no dead letters', ['CdcDeadLetters'], false);
    expect(await observed.query('cdc_dead_letters_total')).toMatchObject([{ value: 1 }]);
  });

  it('such as a paused connector fires the alerts of a pipeline that stands, and of a slot that grows', async () => {
    const names: AlertName[] = ['CdcConnectorPaused', 'CdcPipelineStalled', 'CdcSlotGrowing'];
    await observed.json('connector', 'pause');
    await observed.source(
      `SELECT count(pg_logical_emit_message(false, 'test', repeat('x', 1000000))) FROM generate_series(1, ${(2 * SLOT_BYTES) / 1e6})`,
    );
    await alerts('a pipeline that stands', names, true);
    await logged('firing: CdcSlotGrowing');
    await observed.json('connector', 'resume');
    await alerts('a pipeline that flows', names, false);
  });

  it('such as a broker that hangs has no figures: not 0, not those of before; it and a killed one fire alerts, until it is back', async () => {
    const names: AlertName[] = ['CdcServerDown', 'CdcServerRestarting'];
    const before = observed.pid('kafka');
    const figures = async () => {
      const page = await observed.metrics();
      const up = page.find(
        ({ labels }) => labels.__name__ === 'cdc_up' && labels.component === 'kafka',
      );
      const there = new Set(page.map(({ labels }) => labels.__name__));
      const watched = ['cdc_consumer_lag_messages', 'cdc_applied_changes_total'];
      return [up?.value, ...[...watched, 'cdc_slot_retained_bytes'].map((name) => there.has(name))];
    };
    await eventually('figures of all servers', [1, true, true, true], figures);
    process.kill(before, 'SIGSTOP');
    await eventually('figures of the other servers only', [0, false, false, true], figures);
    await alerts('a broker that hangs', ['CdcServerDown'], true);
    process.kill(before, 'SIGKILL');
    await alerts('a broker that ended', ['CdcServerRestarting'], true);
    await logged('firing: CdcServerRestarting');
    await alerts('a broker that is back', names, false);
    expect(observed.pid('kafka')).not.toBe(before);
    await eventually('figures of Kafka again', [1, true, true, true], figures);
    expect(await observed.json('verify')).toMatchObject({ ok: true });
  });

  it('is in the log of alerts with what to type, and again once it cleared', async () => {
    await logged('resolved: CdcDeadLetters', 'resolved: CdcSlotGrowing');
    expect((await observed.run('logs', 'alerts')).stdout).toContain('fix=cdc dlq list');
    // And somebody was told.
    expect(observed.posted).toEqual(
      expect.arrayContaining(['firing: CdcDeadLetters', 'resolved: CdcDeadLetters']),
    );
  });
});
