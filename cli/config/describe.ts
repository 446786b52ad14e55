import { z } from 'zod';
import { configSchema } from './schema.ts';

/** One key of cdc.yaml as documentation needs it. */
export interface LeafPath {
  readonly path: string;
  /** The environment variable that sets it. */
  readonly variable: string;
  readonly list: boolean;
  readonly number: boolean;
  readonly type: string;
  readonly default: unknown;
  readonly description: string;
}

interface JsonSchema {
  type?: string;
  description?: string;
  default?: unknown;
  enum?: unknown[];
  const?: unknown;
  anyOf?: JsonSchema[];
  items?: JsonSchema;
  properties?: Record<string, JsonSchema>;
}

export function jsonSchema(): JsonSchema {
  return z.toJSONSchema(configSchema, { io: 'input' }) as JsonSchema;
}

let cached: readonly LeafPath[] | undefined;

/** Every leaf of the schema, in the order of the schema. */
export function leafPaths(): readonly LeafPath[] {
  cached ??= walk(jsonSchema(), '');
  return cached;
}

function walk(schema: JsonSchema, prefix: string): LeafPath[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, value]) => {
    const path = prefix === '' ? key : `${prefix}.${key}`;
    const object = value.properties ? value : value.anyOf?.find((option) => option.properties);
    const own = value.properties ? [] : [leaf(path, value)];
    return object ? [...own, ...walk(object, path)] : own;
  });
}

function leaf(path: string, schema: JsonSchema): LeafPath {
  return {
    path,
    variable: `CDC_${path.replaceAll('.', '_').toUpperCase()}`,
    list: schema.type === 'array',
    number: schema.type === 'integer',
    type: typeOf(schema),
    default: schema.anyOf ? undefined : schema.default,
    description: schema.description ?? '',
  };
}

function typeOf(schema: JsonSchema): string {
  if (schema.enum) return schema.enum.join(' | ');
  if (schema.const !== undefined) return String(schema.const);
  if (schema.anyOf)
    return schema.anyOf.map((s) => (s.properties ? 'keys below' : typeOf(s))).join(' | ');
  if (schema.type === 'array') return `list of ${schema.items?.type ?? 'text'}`;
  return schema.type === 'integer'
    ? 'number'
    : schema.type === 'string'
      ? 'text'
      : (schema.type ?? 'text');
}
