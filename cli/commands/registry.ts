import type { CommandSpec } from '../kernel/program.ts';
import { agent } from './agent.ts';
import { backup } from './backup.ts';
import { bench } from './bench.ts';
import { chaos } from './chaos.ts';
import { connector } from './connector.ts';
import { containerFilesCommand } from './container-files.ts';
import { demo } from './demo.ts';
import { dlq } from './dlq.ts';
import { doctor } from './doctor.ts';
import { down } from './down.ts';
import { env } from './env.ts';
import { init } from './init.ts';
import { lag } from './lag.ts';
import { load } from './load.ts';
import { logs } from './logs.ts';
import { apply, plan } from './plan.ts';
import { registerConnectorCommand } from './register-connector.ts';
import { restore } from './restore.ts';
import { secrets } from './secrets.ts';
import { setup } from './setup.ts';
import { snapshot } from './snapshot.ts';
import { status } from './status.ts';
import { up } from './up.ts';
import { verify } from './verify.ts';

/** Every command, in the order of the help text. */
export const COMMANDS: readonly CommandSpec[] = [
  up,
  down,
  status,
  logs,
  doctor,
  env,
  init,
  plan,
  apply,
  registerConnectorCommand,
  connector,
  secrets,
  snapshot,
  verify,
  dlq,
  backup,
  restore,
  lag,
  load,
  bench,
  chaos,
  demo,
  setup,
  agent,
  containerFilesCommand,
];
