import { z } from 'zod';
import { configSchema } from './schema.ts';

/** One key of cdc.yaml as documentation needs it. */
export interface LeafPath {
  readonly path: string;
  /** The environment variable that sets it. */
  readonly variable: string;
  readonly list: boolean;
  readonly number: boolean;
  readonly boolean: boolean;
  /** Holds keys that people choose: no variable can set it. */
  readonly mapping: boolean;
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
  additionalProperties?: JsonSchema | boolean;
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
    list: isOf(schema, 'array'),
    number: isOf(schema, 'integer'),
    boolean: schema.type === 'boolean',
    mapping: isMapping(schema),
    type: typeOf(schema),
    default: schema.anyOf ? undefined : schema.default,
    description: schema.description ?? '',
  };
}

function isOf(schema: JsonSchema, type: string): boolean {
  return schema.type === type || (schema.anyOf?.some((option) => isOf(option, type)) ?? false);
}

function isMapping(schema: JsonSchema): boolean {
  return typeof schema.additionalProperties === 'object';
}

/** Keys that may stand at a path; none where people choose them. */
export function keysAt(path: readonly string[]): string[] {
  let at: JsonSchema | undefined = jsonSchema();
  for (const key of path) {
    const object: JsonSchema | undefined = at?.anyOf?.find((option) => option.properties) ?? at;
    const free: JsonSchema | boolean | undefined = object?.additionalProperties;
    at = object?.properties?.[key] ?? (typeof free === 'object' ? free : undefined);
  }
  const object = at?.anyOf?.find((option) => option.properties) ?? at;
  return Object.keys(object?.properties ?? {});
}

function typeOf(schema: JsonSchema): string {
  if (schema.enum) return schema.enum.join(' | ');
  if (schema.const !== undefined) return String(schema.const);
  if (schema.anyOf)
    return schema.anyOf.map((s) => (s.properties ? 'keys below' : typeOf(s))).join(' | ');
  if (isMapping(schema)) return 'keys and values';
  if (schema.type === 'boolean') return 'true | false';
  if (schema.type === 'array') return `list of ${schema.items?.type ?? 'text'}`;
  return schema.type === 'integer'
    ? 'number'
    : schema.type === 'string'
      ? 'text'
      : (schema.type ?? 'text');
}
