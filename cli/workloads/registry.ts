import { ecommerce } from './ecommerce.ts';
import { inventory } from './inventory.ts';
import type { Workload } from './workload.ts';

/** Every built-in workload by the name that `cdc load` takes. */
export const WORKLOADS: Readonly<Record<string, Workload>> = { ecommerce, inventory };
