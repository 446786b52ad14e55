import { type ChildProcess, spawn } from 'node:child_process';

/**
 * The agent's parent, which does nothing but start it again when somebody or the kernel has killed it: who watches the
 * servers must not be gone unnoticed. The servers go on meanwhile, and the next agent takes them over. An agent that ends
 * by itself has its reasons, and is not started again; but for one that was well before, and ends by a fault of its own.
 *
 * Arguments: those of the agent's own node.
 */
const BACKOFF_MS = [200, 500, 1000, 2000, 5000, 10_000, 30_000];
/** An agent that ran this long was well: the next kill is the first. */
const HEALTHY_AFTER_MS = 60_000;

/** What node ends with where nothing caught an error. */
const FAULT = 1;

let ending = false;
let wasWell = false;
let agent: ChildProcess | undefined;
let waiting: NodeJS.Timeout | undefined;

function end(signal: NodeJS.Signals): void {
  ending = true;
  // Between two agents there is none to ask.
  if (waiting !== undefined) process.exit(0);
  agent?.kill(signal);
}

function keep(kills: number): void {
  waiting = undefined;
  const startedAtMs = performance.now();
  agent = spawn(process.execPath, process.argv.slice(2), { stdio: 'inherit' });
  agent.once('error', () => process.exit(1));
  agent.once('exit', (code, signal) => {
    const isWell = performance.now() - startedAtMs > HEALTHY_AFTER_MS;
    wasWell ||= isWell;
    const isFault = signal !== null || (wasWell && code === FAULT);
    if (ending || !isFault) process.exit(code ?? 0);
    const before = isWell ? 0 : kills;
    const waitMs = BACKOFF_MS[Math.min(before, BACKOFF_MS.length - 1)];
    waiting = setTimeout(keep, waitMs, before + 1);
  });
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, end);
keep(0);
