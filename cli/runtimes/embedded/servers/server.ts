import type { KafkaEndpoint, ServerName } from '../../endpoints.ts';
import type { Jars } from '../jars.ts';
import type { EmbeddedPorts, Layout, Secrets } from '../layout.ts';

/** What a server's preparation may know. */
export interface ServerSetting {
  readonly layout: Layout;
  readonly ports: EmbeddedPorts;
  readonly secrets: Secrets;
  /** Connect and ClickHouse read it; it need not be the embedded one. */
  readonly kafka: KafkaEndpoint;
  readonly jars: Jars;
  readonly java: string;
  /** Whether the JVMs show their figures to Prometheus. */
  readonly observed: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** JVM heap and poll intervals follow the profile. */
  readonly profile: 'low-latency' | 'balanced' | 'throughput';
}

/** How to start a process. */
export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly uid?: number;
  readonly gid?: number;
}

/** Who may read figures: of the agent, of Prometheus, of everything beside the pipeline. */
export const AGENT_USER = 'cdc';

/** What tells about the pipeline and is no part of it. */
export const OBSERVER_NAMES = [
  'prometheus',
  'alertmanager',
  'node_exporter',
  'postgres_exporter',
] as const;
export type ObserverName = (typeof OBSERVER_NAMES)[number];
export type ProcessName = ServerName | ObserverName;

/** One kind of embedded server. Adding one means a file here and a line in the registry. */
export interface EmbeddedServer {
  readonly name: ProcessName;
  /** Servers that must answer before this one starts. */
  readonly needs: readonly ProcessName[];
  /** Ports it listens on, by their names in cdc.yaml. */
  readonly ports: readonly (keyof EmbeddedPorts)[];
  /** Asks it to end in order. */
  readonly stopSignal: NodeJS.Signals;
  /** Writes configuration and, the first time, the data folder; then says how to start it. */
  prepare(setting: ServerSetting, signal: AbortSignal): Promise<Launch>;
  /** One look; throws, or says what it saw, while the server does not answer. */
  ready(setting: ServerSetting): Promise<true | string>;
}
