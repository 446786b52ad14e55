import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DIST, read } from './files.mjs';
import { EXIT, Stop, say } from './problem.mjs';
import { heed } from './run.mjs';

/**
 * Holds a lock while `work` runs. The folder comes into being with its owner's pid in it, by a
 * rename; a dead owner's lock is taken over.
 * @param {() => Promise<void>} work
 */
export async function withLock(work) {
  mkdirSync(DIST, { recursive: true });
  const lock = join(DIST, '.bootstrap.lock');
  const own = mkdtempSync(`${lock}.`);
  writeFileSync(join(own, 'pid'), String(process.pid));
  const deadline = Date.now() + 15 * 60_000;
  try {
    for (let told = false; !take(own, lock); told = true) {
      const owner = Number(read(join(lock, 'pid')));
      if (owner && !isAlive(owner)) takeAway(lock, owner);
      else {
        if (!told) say(`waiting for another run (pid ${owner || 'unknown'})…`);
        if (Date.now() > deadline) {
          throw new Stop(
            EXIT.configuration,
            'Another run of cdc installs or builds for more than 15 minutes.',
            `Process ${owner} holds ${lock}.`,
            `kill ${owner}   # then run the same command again`,
          );
        }
      }
      await new Promise((resolve) => setTimeout(resolve, 200));
      heed();
    }
    const release = () => {
      if (read(join(lock, 'pid')) === String(process.pid))
        rmSync(lock, { recursive: true, force: true });
    };
    process.once('exit', release);
    await work();
    process.off('exit', release);
    release();
  } finally {
    rmSync(own, { recursive: true, force: true });
  }
}

/** @type {(own: string, lock: string) => boolean} */
function take(own, lock) {
  try {
    renameSync(own, lock);
    return true;
  } catch (error) {
    if (['ENOTEMPTY', 'EEXIST'].includes(codeOf(error))) return false;
    throw error;
  }
}

/**
 * Of several who saw the same dead owner one moves it away; what turns out alive is put back.
 * @type {(lock: string, owner: number) => void}
 */
function takeAway(lock, owner) {
  const aside = `${lock}.stale.${process.pid}`;
  try {
    renameSync(lock, aside);
    if (Number(read(join(aside, 'pid'))) !== owner) renameSync(aside, lock);
  } catch {
    // Somebody else was faster.
  }
  rmSync(aside, { recursive: true, force: true });
}

/** @param {number} pid */
function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
}

/** @param {unknown} error */
function codeOf(error) {
  return String(/** @type {NodeJS.ErrnoException} */ (error).code);
}
