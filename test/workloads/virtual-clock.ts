/** Time that passes only when everything waits for it, at no cost in real time. */
export class VirtualClock {
  #ms = 0;
  readonly #sleepers: { readonly at: number; readonly wake: () => void }[] = [];

  readonly now = (): number => this.#ms;

  readonly sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      const onAbort = () => {
        this.#sleepers.splice(this.#sleepers.indexOf(sleeper), 1);
        reject(signal?.reason);
      };
      const sleeper = {
        at: this.#ms + ms,
        wake: () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      this.#sleepers.push(sleeper);
      signal?.addEventListener('abort', onAbort, { once: true });
    });

  /** Wakes sleepers in order until `promise` settles; at most `limit` of them. */
  async drive<T>(promise: Promise<T>, limit = 100_000): Promise<T> {
    let settled = false;
    promise.then(
      () => {
        settled = true;
      },
      () => {
        settled = true;
      },
    );
    for (let woken = 0; woken < limit; woken += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      if (settled) return promise;
      this.#sleepers.sort((a, b) => a.at - b.at);
      const next = this.#sleepers.shift();
      if (next === undefined) throw new Error('nothing sleeps and nothing is settled');
      this.#ms = Math.max(this.#ms, next.at);
      next.wake();
    }
    throw new Error(`not settled after ${limit} wake-ups`);
  }
}
