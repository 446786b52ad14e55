import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { LoadedConfig } from '../../config/load.ts';
import { workerGroup } from '../../core/names.ts';
import { readJson } from '../../lib/files.ts';
import { packageRoot } from '../../lib/packageRoot.ts';
import { type Endpoints, SERVER_NAMES, type ServerName } from '../../stack/endpoints.ts';
import { namesOf } from '../../stack/names.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** Ports that docker-compose.yml publishes, by their variable, with its defaults. */
export const PORT_VARIABLES: Readonly<Record<string, number>> = {
  CDC_PORTS_POSTGRES: 5432,
  CDC_PORTS_KAFKA: 9092,
  CDC_PORTS_CONNECT: 8083,
  CDC_PORTS_CLICKHOUSE: 8123,
  CDC_PORTS_CLICKHOUSE_NATIVE: 9000,
  CDC_PORTS_CLICKHOUSE_EXPORTER: 9116,
  CDC_PORTS_PROMETHEUS: 9090,
  CDC_PORTS_GRAFANA: 3000,
  CDC_PORTS_NODE_EXPORTER: 9100,
  CDC_PORTS_POSTGRES_EXPORTER: 9187,
  CDC_PORTS_KAFKA_EXPORTER: 9308,
  CDC_PORTS_KAFDROP: 9001,
  CDC_PORTS_PORTAINER: 9443,
};

export const COMPOSE_FILE = () => join(packageRoot(), 'docker-compose.yml');

/** A broker does not tell its version; the image's is known. */
export function containerKafkaVersion(): string | undefined {
  const versions = readJson<{ images: Record<string, string> }>(
    join(packageRoot(), 'versions.json'),
  );
  return versions?.images.kafka?.split(':')[1];
}

/** As in docker-compose.yml; a folder of one's own has another project, so that stacks do not meet. */
export function projectName(loaded: Pick<LoadedConfig, 'config' | 'directory'>): string {
  const { config, directory } = loaded;
  if (directory === packageRoot()) return config.name;
  const digest = createHash('sha256').update(directory).digest('hex').slice(0, 6);
  return `${config.name}-${digest}`;
}

/** What `docker compose up` starts unless COMPOSE_PROFILES asks otherwise (.env says the same). */
export const DEFAULT_PROFILES = 'core,observability';

/** Profiles that leave out the servers which run elsewhere. */
export function composeProfiles(env: Env, own: readonly ServerName[]): string[] {
  const wanted = (env.COMPOSE_PROFILES ?? DEFAULT_PROFILES).split(',').map((name) => name.trim());
  if (own.length === SERVER_NAMES.length) return wanted;
  return wanted.flatMap((name) => (name === 'core' ? [...own, 'agent'] : [name]));
}

export interface ComposeSettings {
  readonly loaded: LoadedConfig;
  readonly project: string;
  readonly ports: Readonly<Record<string, number>>;
  /** Servers that this stack runs itself. */
  readonly own: readonly ServerName[];
  /** As containers reach them. */
  readonly endpoints: Pick<Endpoints, 'postgres' | 'kafka'>;
}

/** The variables that docker-compose.yml is filled with. */
export function composeVariables(settings: ComposeSettings): Record<string, string> {
  const { loaded, project, ports, own, endpoints } = settings;
  const { postgres, kafka } = endpoints;
  const elsewhere = {
    ...(own.includes('postgres')
      ? {}
      : {
          CDC_CONTAINER_POSTGRES: `${postgres.internal.host}:${postgres.internal.port}/${postgres.database}?sslmode=${postgres.sslmode ?? 'disable'}`,
          CDC_CONTAINER_POSTGRES_USER: postgres.user,
        }),
    ...(own.includes('kafka')
      ? {}
      : {
          CDC_CONTAINER_KAFKA: kafka.internalBrokers.join(','),
          CDC_CONNECT_GROUP: workerGroup(namesOf(loaded), false),
        }),
  };
  return {
    CDC_STACK: loaded.directory,
    CDC_PROJECT: project,
    CDC_NETWORK: project === 'cdc' ? 'cdc-network' : `${project}-network`,
    CDC_PROFILE: loaded.config.profile,
    ...Object.fromEntries(Object.entries(ports).map(([name, port]) => [name, String(port)])),
    ...elsewhere,
  };
}

/** A failure of `docker compose`, by what it printed. */
export type ComposeFailure =
  | { readonly kind: 'port'; readonly port: number }
  | { readonly kind: 'image'; readonly image: string | undefined; readonly detail: string }
  | { readonly kind: 'container'; readonly service: string; readonly detail: string }
  | { readonly kind: 'other'; readonly detail: string };

const NO_IMAGE =
  /pull access denied|manifest (for .* )?(unknown|not found)|failed to resolve|lookup .* (no such host|server misbehaving)|TLS handshake timeout|i\/o timeout|connection refused|certificate signed by unknown|certificate verify|toomanyrequests|No such image|network is unreachable|EOF$/i;

/** Reads why `docker compose` failed. `project` is how its containers' names begin. */
export function readFailure(output: string, project: string): ComposeFailure {
  const lines = output
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const last = lines.at(-1) ?? 'docker compose said nothing';
  const port =
    /(?:Bind for|listen tcp\d?|exposing port \w+) [^\s]*?:(\d+)[^\n]*(?:already allocated|already in use)/i.exec(
      output,
    );
  if (port) return { kind: 'port', port: Number(port[1]) };
  const container = new RegExp(
    `${project}-([a-z-]+)-\\d+(?:"| )[^\\n]*(?:unhealthy|exited|is restarting)`,
  ).exec(output);
  if (container?.[1]) return { kind: 'container', service: container[1], detail: last };
  const oneShot = /service "([a-z-]+)" didn't complete successfully/.exec(output);
  if (oneShot?.[1]) return { kind: 'container', service: oneShot[1], detail: last };
  if (NO_IMAGE.test(output)) {
    const cause = lines.findLast((line) => NO_IMAGE.test(line)) ?? last;
    return { kind: 'image', image: imageIn(output), detail: cause };
  }
  return { kind: 'other', detail: lines.slice(-3).join('\n') };
}

/** `postgres:18.4` in what an engine says about an image that it cannot get. */
function imageIn(output: string): string | undefined {
  const found =
    /pull access denied for ([^\s,]+)/.exec(output) ??
    /failed to resolve (?:reference|source metadata for) "?([^\s":]+:[^\s":]+)/.exec(output) ??
    /manifest for (\S+) not found/.exec(output);
  return found?.[1];
}
