import { describe, expect, it } from 'vitest';
import { StopWaiting, WaitTimeout, waitFor } from '../../cli/lib/wait.ts';

describe('waitFor', () => {
  it('returns what was ready', async () => {
    let looks = 0;
    const value = await waitFor('it', { timeoutMs: 1000, everyMs: 1 }, () => {
      looks += 1;
      return looks === 3 ? { ready: 'here' } : { seen: `look ${looks}` };
    });
    expect(value).toBe('here');
    expect(looks).toBe(3);
  });

  it('says what it waited for, how long, and what it saw last', async () => {
    const waited = waitFor('the row', { timeoutMs: 20, everyMs: 5 }, () => ({ seen: '2 of 3' }));
    await expect(waited).rejects.toThrow(WaitTimeout);
    await expect(waited).rejects.toThrow('the row: not within 0.02 s; last seen: 2 of 3');
  });

  it('takes an exception for "not yet", and its message for what it saw', async () => {
    const waited = waitFor('it', { timeoutMs: 10, everyMs: 5 }, () => {
      throw new Error('refused');
    });
    await expect(waited).rejects.toThrow('last seen: refused');
  });

  it('gives what moves its time, and ends when it stands still', async () => {
    let looks = 0;
    const waited = waitFor('it', { timeoutMs: 30, everyMs: 10, whileMoving: true }, () => {
      looks += 1;
      return { seen: `look ${Math.min(looks, 20)}` };
    });
    await expect(waited).rejects.toThrow('last seen: look 20');
  });

  it('looks once even when there is no time', async () => {
    await expect(waitFor('it', { timeoutMs: 0 }, () => ({ ready: 1 }))).resolves.toBe(1);
  });

  it('ends at once when waiting longer cannot help', async () => {
    const reason = new Error('it is gone');
    const waited = waitFor('it', { timeoutMs: 60_000 }, () => {
      throw new StopWaiting(reason);
    });
    await expect(waited).rejects.toBe(reason);
  });

  it('ends at once when the signal fires', async () => {
    const abort = new AbortController();
    const waited = waitFor(
      'it',
      { timeoutMs: 60_000, everyMs: 60_000, signal: abort.signal },
      () => {
        queueMicrotask(() => abort.abort(new Error('enough')));
        return { seen: 'nothing' };
      },
    );
    await expect(waited).rejects.toThrow();
  });
});
