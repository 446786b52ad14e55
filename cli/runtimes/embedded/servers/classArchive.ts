import { createHash, randomBytes } from 'node:crypto';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { delimiter, join } from 'node:path';
import type { ServerSetting } from './server.ts';

/**
 * Classes as a JVM has read and verified them (JEP 350), beside the jars that they are of: the next start of the same
 * program takes them from there. Kafka answers after 2.8 s of CPU instead of 4.9.
 */
export interface ClassArchive {
  readonly args: readonly string[];
  /** Called with how the JVM ended: only one that ended in order has written all of its archive. */
  ended(how: string): void;
}

/** Jars and java are part of an archive's name; of anything else that changed the JVM sees for itself that it does not fit. */
export function classArchive(setting: ServerSetting, mainClass: string): ClassArchive {
  const folder = join(setting.jars.kafka, '..', 'classes');
  const file = join(folder, `${mainClass}-${digestOfJava(setting)}.jsa`);
  if (existsSync(file)) return { args: [`-XX:SharedArchiveFile=${file}`, QUIET], ended: () => {} };
  // A JVM with an agent writes none; somebody else's cache may be read only.
  if (setting.observed || !isWritable(folder)) return { args: [], ended: () => {} };
  const written = `${file}.${randomBytes(4).toString('hex')}`;
  return {
    args: [`-XX:ArchiveClassesAtExit=${written}`, QUIET],
    ended: (how) => {
      try {
        if (IN_ORDER.has(how)) renameSync(written, file);
        else rmSync(written, { force: true });
      } catch {
        // It ended before it had anything to write.
      }
    },
  };
}

/** Classes that cannot be in an archive are no news. */
const QUIET = '-Xlog:cds*=off';
/** 143 is the JVM's own end after SIGTERM. */
const IN_ORDER: ReadonlySet<string> = new Set(['exit code 0', 'exit code 143']);

function isWritable(folder: string): boolean {
  try {
    mkdirSync(folder, { recursive: true });
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function digestOfJava({ java, env }: ServerSetting): string {
  const places = (env.PATH ?? '').split(delimiter).map((place) => join(place, java));
  const found = [java, ...places].find((path) => path.includes('/') && existsSync(path));
  const path = found === undefined ? java : realpathSync(found);
  const mtimeMs = found === undefined ? 0 : statSync(path).mtimeMs;
  return createHash('sha256').update(`${path} ${mtimeMs}`).digest('hex').slice(0, 12);
}
