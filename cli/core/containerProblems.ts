import { EXIT, entry } from './problemEntry.ts';

/** What a user can meet with the compose runtime: docs/compose.md. */
export const CONTAINER_PROBLEMS = {
  DOCKER_MISSING: entry(
    EXIT.configuration,
    'The compose runtime needs Docker, and {what}.',
    '{detail}',
    'Install Docker Engine with the Compose plug-in (or Docker Desktop) and start it, or run without containers: cdc up --runtime embedded',
  ),
  COMPOSE_TOO_OLD: entry(
    EXIT.configuration,
    'Docker Compose {needed} or newer is needed; {found}.',
    'docker-compose.yml uses what older ones do not know. Compose 1 (docker-compose) is another program.',
    'apt-get install -y docker-compose-plugin   # or newer Docker Desktop; or without containers: cdc up --runtime embedded',
  ),
  DOCKER_DENIED: entry(
    EXIT.refused,
    'The Docker engine at {address} lets this user do nothing.',
    '{detail}',
    'sudo usermod -aG docker $USER && newgrp docker   # who may speak with the engine is root on this machine; or without containers: cdc up --runtime embedded',
  ),
  IMAGE_UNAVAILABLE: entry(
    EXIT.unreachable,
    'The image {image} cannot be had.',
    '{detail}',
    'cdc up --runtime embedded   # needs no image; or restore the way to the registry: docker pull {image}',
  ),
  STACK_UNREADABLE: entry(
    EXIT.configuration,
    'The agent in its container (user {uid}) cannot read {path}.',
    'It reads cdc.yaml where it lies, so that edits count; the folder is closed to other users.',
    'chmod {mode} {path}   # or run without containers: cdc up --runtime embedded',
  ),
  VOLUME_OTHER_VERSION: entry(
    EXIT.configuration,
    'The volume {volume} has data of another PostgreSQL version.',
    '{detail}',
    'Dump with the old version and restore (docs/compose.md, Upgrade), or begin anew: cdc down --delete-data',
  ),
  CONTAINER_FAILED: entry(
    EXIT.unreachable,
    'The container of {service} did not start.',
    '{detail}',
    'cdc logs {service}',
  ),
} as const;
