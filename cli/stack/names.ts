import type { LoadedConfig } from '../config/load.ts';
import { type PipelineNames, pipelineNames } from '../core/names.ts';
import { readJson, writeFileAtomic } from '../lib/files.ts';
import { createLayout, layoutOf } from './layout.ts';

/** The names of the pipeline of a folder. */
export function namesOf({
  config,
  directory,
}: Pick<LoadedConfig, 'config' | 'directory'>): PipelineNames {
  const known = readJson<{ shared?: boolean }>(layoutOf(directory).namesFile);
  return pipelineNames(config, known?.shared === true);
}

/** An earlier cdc made the pipeline: its names are those of the one without a name, and stay. */
export function rememberShared(directory: string): void {
  const layout = layoutOf(directory);
  createLayout(layout);
  writeFileAtomic(layout.namesFile, `${JSON.stringify({ shared: true })}\n`);
}
