import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, realpathSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Docker from 'dockerode';
import { withClickHouse } from '../../cli/components/clickhouse/client.ts';
import { connectPostgres } from '../../cli/components/postgres/client.ts';
import { attach, type Stack } from '../../cli/pipeline/state/stack.ts';
import { cleanEnvironment, type Ran, runCommand, testContext } from './cli.ts';
import { eventually } from './database.ts';

/** Servers that just came back take their time. */
const CROSSING_MS = 120_000;

/** The engine that test/compose/engine.sh started. */
export function engineHost(): string {
  const host = process.env.DOCKER_HOST;
  if (host === undefined)
    throw new Error('These tests need a Docker engine: npm run test:compose starts one.');
  return host;
}

/** What a command sees of the engine. */
export function engineEnvironment(): Record<string, string> {
  return { DOCKER_HOST: engineHost(), DOCKER_CONFIG: process.env.DOCKER_CONFIG ?? '' };
}

export function docker(): Docker {
  return new Docker({ socketPath: engineHost().replace('unix://', '') });
}

/** All containers of a Compose project. */
export function containersOfProject(project: string): Promise<Docker.ContainerInfo[]> {
  const label = [`com.docker.compose.project=${project}`];
  return docker().listContainers({ all: true, filters: { label } });
}

/** The container of a service of a project. */
export async function containerOf(project: string, service: string): Promise<Docker.Container> {
  const found = (await containersOfProject(project)).find(
    (one) => one.Labels['com.docker.compose.service'] === service,
  );
  if (!found) throw new Error(`${service} has no container`);
  return docker().getContainer(found.Id);
}

/** A folder of a stack in containers. */
export class ContainerStack {
  readonly directory: string;
  readonly env: Record<string, string>;

  constructor(yaml = 'ports: auto\nruntime: compose\n', env: Record<string, string> = {}) {
    this.directory = realpathSync(mkdtempSync(join(tmpdir(), 'cdc-containers-')));
    // The agent's user has to read it.
    chmodSync(this.directory, 0o755);
    writeFileSync(join(this.directory, 'cdc.yaml'), yaml);
    this.env = { ...engineEnvironment(), COMPOSE_PROFILES: 'core', ...env };
  }

  cdc(...argv: string[]): Promise<Ran> {
    return runCommand(argv, { cwd: this.directory, env: this.env });
  }

  /** Runs a command that has to end well, and returns its JSON document. */
  // biome-ignore lint/suspicious/noExplicitAny: a test says what it expects to find
  async json(...argv: string[]): Promise<any> {
    const ran = await this.cdc(...argv, '--json');
    if (ran.exit !== 0)
      throw new Error(`cdc ${argv.join(' ')} ended with ${ran.exit}:\n${ran.stderr}`);
    return ran.json();
  }

  stack(): Stack {
    const { context } = testContext({ cwd: this.directory, env: this.env });
    return attach(context, {});
  }

  project(): string {
    return this.stack().agent?.project ?? '';
  }

  containers(project = this.project()): Promise<Docker.ContainerInfo[]> {
    return containersOfProject(project);
  }

  async source<T>(sql: string, values: readonly unknown[] = []): Promise<T[]> {
    const client = await connectPostgres(this.stack().endpoints.postgres);
    try {
      return (await client.query(sql, [...values])).rows as T[];
    } finally {
      await client.end();
    }
  }

  async copy<T>(sql: string): Promise<T[]> {
    return withClickHouse(this.stack().endpoints.clickhouse, (clickhouse) =>
      clickhouse.rows<T>(sql),
    );
  }

  /** Writes a customer and waits until the copy has it; @returns its address. */
  async crosses(): Promise<string> {
    const email = `${randomBytes(6).toString('hex')}@example.com`;
    const names = '(first_name, last_name, email)';
    await this.source(`INSERT INTO inventory.customers ${names} VALUES ('A', 'B', $1)`, [email]);
    const count = `SELECT count() AS n FROM inventory.customers WHERE email = '${email}'`;
    await eventually('the row in ClickHouse', [{ n: '1' }], () => this.copy(count), CROSSING_MS);
    return email;
  }

  /** The container of a service. */
  container(service: string): Promise<Docker.Container> {
    return containerOf(this.project(), service);
  }
}

/** Everything that a shell would have, for programs that are no part of cdc. */
export function shellEnvironment(): Record<string, string> {
  return { ...cleanEnvironment(), ...engineEnvironment() };
}
