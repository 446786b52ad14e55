/** In the order in which the work began. */
const open: (() => Promise<void>)[] = [];

/**
 * Does the work, and undoes what it has made should it fail, or should its command be left where it is before the
 * work has ended: whichever is first.
 */
export async function withUndo<T>(undo: () => Promise<void>, work: () => Promise<T>): Promise<T> {
  let undone: Promise<void> | undefined;
  const once = () => {
    undone ??= undo();
    return undone;
  };
  open.push(once);
  try {
    return await work();
  } catch (error) {
    await once();
    throw error;
  } finally {
    open.splice(open.indexOf(once), 1);
  }
}

/** For a command that is left where it is: the latest first. */
export async function undoAll(): Promise<void> {
  for (const undo of [...open].reverse()) await undo().catch(() => {});
}
