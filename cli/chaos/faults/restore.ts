import { cpSync, existsSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { chosen } from '../../core/chaos.ts';
import { pause } from '../../lib/wait.ts';
import type { Fault } from '../ground.ts';

/** Long enough for the WAL to be elsewhere than it was. */
const LOST_MS = [2000, 6000] as const;

/** PostgreSQL's data as they were some seconds ago, as from a copy of the disk; with the slot, or without. */
function restored(withSlot: boolean): Fault {
  return {
    name: withSlot ? 'restore-source' : 'restore-source-without-slot',
    summary: `PostgreSQL is put back to an older copy of its data, ${withSlot ? 'and its slot with it' : 'without its slots'}`,
    servers: ['postgres'],
    mend: 'apply',
    notHere: ({ stack, runtime }) =>
      runtime.kind === 'compose'
        ? 'the data are in a volume of the engine'
        : existsSync(join(stack.layout.data('postgres'), 'PG_VERSION'))
          ? undefined
          : 'the data are not in the folder of the stack',
    async play(ground, chance) {
      const data = ground.stack.layout.data('postgres');
      const copy = `${data}.older`;
      rmSync(copy, { recursive: true, force: true });
      await ground.runtime.harm('postgres', 'freeze');
      try {
        cpSync(data, copy, { recursive: true, preserveTimestamps: true });
      } finally {
        await ground.runtime.harm('postgres', 'thaw');
      }
      const ms = chosen(chance, ...LOST_MS);
      await pause(ms, ground.signal).catch(() => {});
      await ground.cdc('down');
      rmSync(data, { recursive: true });
      renameSync(copy, data);
      rmSync(join(data, 'postmaster.pid'), { force: true });
      const slots = join(data, 'pg_replslot');
      for (const slot of withSlot ? [] : readdirSync(slots))
        rmSync(join(slots, slot), { recursive: true });
      await ground.cdc('up');
      return `PostgreSQL went back by ${ms} ms${withSlot ? '' : ', and lost its slots'}`;
    },
  };
}

export const RESTORE_FAULTS: readonly Fault[] = [restored(true), restored(false)];
