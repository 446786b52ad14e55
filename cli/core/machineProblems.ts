import { EXIT, entry } from './problemEntry.ts';

/** What a user can meet with the machine that cdc runs on. */
export const MACHINE_PROBLEMS = {
  JAVA_MISSING: entry(
    EXIT.configuration,
    'Java 17 or newer is needed and was not found.',
    '{detail}',
    '{install}',
  ),
  MAVEN_MISSING: entry(
    EXIT.configuration,
    'Maven is needed once, to fetch the Kafka and Debezium jars, and was not found.',
    'The command mvn is not on the PATH.',
    '{install}',
  ),
  OBSERVERS_MISSING: entry(
    EXIT.configuration,
    'The tests need Prometheus, Alertmanager, its exporters and PgBouncer.',
    'Not on the PATH: {detail}.',
    '{install}',
  ),
  JARS_UNAVAILABLE: entry(
    EXIT.unreachable,
    'The Kafka and Debezium jars could not be fetched.',
    '{detail}',
    'Check the network (Maven settings: ~/.m2/settings.xml), then run the same command again; what was fetched already is kept.',
  ),
  RUNTIME_PACKAGE_MISSING: entry(
    EXIT.configuration,
    'The embedded runtime needs the npm package {package}, which is not installed.',
    'It is an optional dependency and was left out (npm install --omit=optional), or there is no build of it for {platform}.',
    'npm install --include=optional   # or name servers that run elsewhere in cdc.yaml: {address}',
  ),
  PORT_IN_USE: entry(
    EXIT.configuration,
    'Port {port}, wanted for {server}, is taken by {owner}.',
    'Another program listens on 127.0.0.1:{port}.',
    'Stop that program, or choose free ports: echo "ports: auto" >> cdc.yaml   # or CDC_PORTS=auto',
  ),
  DISK_FULL: entry(
    EXIT.configuration,
    'There is no room left on the disk of {path}.',
    '{detail}',
    'df -h {path}   # make room, then run the same command again',
  ),
  STATE_UNWRITABLE: entry(
    EXIT.configuration,
    '{path} cannot be written.',
    '{detail}',
    'ls -ld {path}   # give this user the right to write there, or run cdc from another folder',
  ),
  OPEN_FILES_LIMIT: entry(
    EXIT.configuration,
    'A process of this shell may open {limit} files; the servers need {least}.',
    'The hard limit of open files (ulimit -Hn) is lower than what ClickHouse and Kafka hold open at once.',
    'sudo prlimit --pid $$ --nofile={least}:{least}   # this shell; for good: /etc/security/limits.conf',
  ),
  USER_UNNAMED: entry(
    EXIT.configuration,
    'The user with number {uid} has no name on this machine, and PostgreSQL does not start for one without.',
    'It is in no line of /etc/passwd, and this machine gives it no user namespace in which it would have a name.',
    "echo 'cdc:x:{uid}:{gid}::/tmp:/bin/sh' | sudo tee -a /etc/passwd   # or name a PostgreSQL that runs: source.url in cdc.yaml",
  ),
  HOME_UNKNOWN: entry(
    EXIT.configuration,
    'There is no folder for the jars that cdc fetches once.',
    'HOME is not set, and the user with number {uid} has no home.',
    'export CDC_CACHE=$PWD/.cdc-cache   # or HOME',
  ),
} as const;
