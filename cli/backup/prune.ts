import { type Keeping, type Manifest, prunable } from '../core/backups.ts';
import { listBackups, removeBackup, removeUnfinished, withBackupLock } from './store.ts';

/** Removes what is not kept, each before what it is on: one that stays is whole at every moment. */
export async function prune(
  target: string,
  keeping: Keeping,
): Promise<{ removed: readonly Manifest[]; kept: readonly Manifest[] }> {
  return withBackupLock(target, async () => {
    await removeUnfinished(target);
    const all = await listBackups(target);
    const removed = prunable(all, keeping);
    for (const { id } of removed) await removeBackup(target, id);
    return { removed, kept: all.filter((one) => !removed.includes(one)) };
  });
}
