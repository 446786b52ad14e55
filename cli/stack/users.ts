/** Users of the servers that cdc runs, in every runtime; their passwords are among the secrets. */
export const POSTGRES_USER = 'postgres';
export const POSTGRES_DATABASE = 'inventory';
/** Brokers and clients log in with it (SASL/PLAIN). */
export const KAFKA_USER = 'cdc';
export const CONNECT_USER = 'cdc';
export const CLICKHOUSE_USER = 'cdc';
/** For people and what they look at the copy with: it reads the copy. */
export const CLICKHOUSE_READER = 'cdc_reader';
/** Who may read figures: of the agent, of Prometheus, of everything beside the pipeline. */
export const AGENT_USER = 'cdc';
