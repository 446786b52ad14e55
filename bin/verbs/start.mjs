import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { buildProblem, prepare, setUp } from '../lib/build.mjs';
import { DIST, ROOT } from '../lib/files.mjs';
import { run } from '../lib/run.mjs';

/** @param {readonly string[]} args of `cdc demo` */
export async function start(args) {
  const complaints = await prepare();
  if (complaints !== undefined) throw buildProblem(complaints);
  await setUp();
  // What was just set up, also where Docker is there; a cdc.yaml may say otherwise.
  const asked = process.env.CDC_RUNTIME ?? (existsSync(join(ROOT, 'cdc.yaml')) ? '' : 'embedded');
  const done = await run(process.execPath, [join(DIST, 'main.js'), 'demo', ...args], {
    stdio: 'inherit',
    env: { CDC_RUNTIME: asked },
  });
  return done.code;
}

export async function build() {
  const complaints = await prepare({ withoutOptional: true });
  if (complaints !== undefined) throw buildProblem(complaints);
  return 0;
}
