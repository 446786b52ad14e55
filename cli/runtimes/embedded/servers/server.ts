import type { KafkaEndpoint, PostgresEndpoint } from '../../../stack/endpoints.ts';
import type { EmbeddedPorts, Layout, Secrets } from '../../../stack/layout.ts';
import type { ProcessName } from '../../../stack/state.ts';
import type { Jars } from '../jars.ts';

/** What a server's preparation may know. */
export interface ServerSetting {
  readonly layout: Layout;
  readonly ports: EmbeddedPorts;
  readonly secrets: Secrets;
  /** Connect and ClickHouse read it; it need not be the embedded one. */
  readonly kafka: KafkaEndpoint;
  /** The database of the pipeline's own tables in ClickHouse. */
  readonly own: string;
  /** cdc.yaml names a place for backups. */
  readonly backsUp: boolean;
  /** Of Connect's workers. */
  readonly workerGroup: string;
  /** ClickHouse loads from it. */
  readonly source: PostgresEndpoint;
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
  /** Told how the process ended, such as `exit code 0`, where it is a child of this one. */
  readonly ended?: (how: string) => void;
}

/** One kind of embedded server. Adding one means a file here and a line in the registry. */
export interface EmbeddedServer {
  readonly name: ProcessName;
  /** Servers that must answer before this one starts. */
  readonly needs: readonly ProcessName[];
  /** Servers that it talks to while it runs: they end after it. */
  readonly uses: readonly ProcessName[];
  /** Asks it to end in order. */
  readonly stopSignal: NodeJS.Signals;
  /** Writes configuration and, the first time, the data folder; then says how to start it. */
  prepare(setting: ServerSetting, signal: AbortSignal): Promise<Launch>;
  /** One look; throws, or says what it saw, while the server does not answer. */
  ready(setting: ServerSetting): Promise<true | string>;
}
