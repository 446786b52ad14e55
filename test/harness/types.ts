/** A type with values that have broken somebody's copy, as SQL expressions. */
export interface TypeCase {
  readonly type: string;
  readonly values: readonly string[];
  /** What ClickHouse has for the first value, where that is worth a look. */
  readonly printed?: unknown;
}

function one(type: string, values: readonly string[], printed?: unknown): TypeCase {
  return { type, values, ...(printed === undefined ? {} : { printed }) };
}

/** The extensions and the types of users that `typeCases` needs. */
export function typesSql(schema: string): string {
  return `
    ${['citext', 'hstore', 'ltree', 'cube'].map((e) => `CREATE EXTENSION IF NOT EXISTS ${e};`).join(' ')}
    CREATE TYPE ${schema}.mood AS ENUM ('sad', 'it''s ok', '');
    CREATE TYPE ${schema}."Pair" AS (a int, b text, c timestamptz[]);
    CREATE TYPE ${schema}.spans AS RANGE (subtype = float8);
    CREATE DOMAIN ${schema}.cents AS numeric(10, 2) CHECK (value >= 0);
    CREATE DOMAIN ${schema}.moods AS ${schema}.mood[];`;
}

/**
 * pgvector is not in the embedded PostgreSQL: types of its names, with its text, its cast and a schema of their
 * own. They check no text, so `values` are as pgvector prints them.
 */
export function vectorsSql(schema: string): string {
  return ['vector', 'halfvec']
    .map(
      (name) => `
    CREATE TYPE ${schema}.${name};
    CREATE FUNCTION ${schema}.${name}_in(cstring) RETURNS ${schema}.${name} IMMUTABLE STRICT LANGUAGE internal AS 'textin';
    CREATE FUNCTION ${schema}.${name}_out(${schema}.${name}) RETURNS cstring IMMUTABLE STRICT LANGUAGE internal AS 'textout';
    CREATE TYPE ${schema}.${name} (INPUT = ${schema}.${name}_in, OUTPUT = ${schema}.${name}_out, LIKE = text);
    CREATE FUNCTION ${schema}.floats(${schema}.${name}) RETURNS real[] IMMUTABLE STRICT LANGUAGE sql
      AS $$ SELECT translate(textin(${schema}.${name}_out($1)), '[]', '{}')::real[] $$;
    CREATE CAST (${schema}.${name} AS real[]) WITH FUNCTION ${schema}.floats(${schema}.${name});`,
    )
    .join('');
}

export function vectorCases(schema: string): TypeCase[] {
  return [
    one(`${schema}.vector`, [
      "'[1,-0,0.1]'",
      "'[1e-45,1.1754944e-38,-3.4028235e+38,8.589935e+09,1.6777216e+07,0.0001,1e-05,123456,1.234567e+06]'",
      "('[' || repeat('0.015625,-1.5e-07,', 4000) || '3]')",
      "'[0]'",
    ]),
    one(`${schema}.halfvec`, ["'[65504,-0,6.1035156e-05,5.9604645e-08,0.099975586]'", "'[1]'"]),
  ];
}

/** Every built-in type, those of common extensions, and what users make in `schema`. */
export function typeCases(schema: string): TypeCase[] {
  return [
    one('smallint', ['-32768', '32767', '0'], -32768),
    one('integer', ['-2147483648', '2147483647', '0']),
    one('bigint', ['-9223372036854775808', '9223372036854775807', '0'], '-9223372036854775808'),
    one('real', [
      "'NaN'",
      "'-Infinity'",
      "'Infinity'",
      "'-0'",
      '1.4e-45',
      '-3.4028235e38',
      '0.1',
      '1.1754944e-38',
    ]),
    one('double precision', [
      "'NaN'",
      "'Infinity'",
      "'-Infinity'",
      "'-0'",
      '5e-324',
      '-1.7976931348623157e308',
      '2.2250738585072014e-308',
    ]),
    one('numeric(12,2)', ['-0.01', '0', '9999999999.99', '-9999999999.99', '1.5'], -0.01),
    one('numeric(38,10)', ['-1234567890123456789012345678.0123456789', '0']),
    one('numeric(76,20)', ['1e55', '-0.00000000000000000001']),
    one('numeric(5,-2)', ['1234567', '0'], 1234600),
    one('numeric(2,5)', ['0.00012', '-0.00099'], 0.00012),
    one('numeric(1000,500)', ["repeat('9', 500)", "('0.' || repeat('1', 500))", "'NaN'"]),
    one('numeric', ['1.50', '1e-7', '-1e40', "'NaN'", "'-Infinity'", "repeat('9', 1000)"], 1.5),
    one('money', ['1234.5', "'-92233720368547758.08'", '0', "'92233720368547758.07'"], 1234.5),
    one('text', [
      "E'\\t\\n\\r\\\\ \"quoted\" '' \\x01 ~ {,} NULL'",
      "''",
      "'NULL'",
      "' a '",
      "'é ß 漢字 🐘'",
      "repeat('long ', 200000)",
    ]),
    one('varchar(20)', ["'trailing  '", "'é ß 漢字 🐘'", "''"], 'trailing  '),
    one('char(6)', ["'ab'", "''", "'é漢🐘'"], 'ab    '),
    one('"char"', ["'x'", "''"], 'x'),
    one('name', ["'Some Name'", "''", "repeat('é', 31)"], 'Some Name'),
    one('bytea', [
      "'\\x00ff10e9'",
      "'\\x'",
      "'\\x00'",
      "(SELECT decode(string_agg(lpad(to_hex(b), 2, '0'), '' ORDER BY b), 'hex') FROM generate_series(0, 255) b)",
    ]),
    one('boolean', ['true', 'false'], true),
    one('date', ["'2024-02-29'", "'1900-01-01'", "'2299-12-31'"], '2024-02-29'),
    one(
      'time',
      ["'24:00:00'", "'00:00:00'", "'23:59:59.999999'", "'10:20:30.5'"],
      '24:00:00.000000',
    ),
    one('timetz', ["'10:20:30.123456+05:30'", "'24:00:00-15:59:59'"], '10:20:30.123456+05:30'),
    one('timestamp', ["'2024-02-29 23:59:59.999999'", "'1970-01-01'", "'1900-01-01 00:00:00'"]),
    one(
      'timestamptz',
      ["'2024-06-01 12:00:00.123456+05:30'", "'1999-12-31 23:59:59-08'", "'2299-12-31 23:00+00'"],
      '2024-06-01 06:30:00.123456',
    ),
    one(
      'interval',
      [
        "'-1 year -2 mons +3 days -04:05:06.789'",
        "'0'",
        "'25:00:00.000001'",
        "'178000000 years'",
        "'1 mon -1 day'",
        "'-00:00:00.5'",
        "'infinity'",
        "'-infinity'",
        "'2500000000 hours'",
      ],
      '-1 years -2 mons +3 days -04:05:06.789',
    ),
    one('uuid', [
      "'f81d4fae-7dec-11d0-a765-00a0c91e6bf6'",
      "'00000000-0000-0000-0000-000000000000'",
      "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
    ]),
    one(
      'json',
      [`'{"a": [1, 2,  {"b": null}]}'`, "'null'", '\'"x"\''],
      '{"a": [1, 2,  {"b": null}]}',
    ),
    one('jsonb', [`'{"b": 1.50, "a": "é\\u00e9"}'`, "'[]'", "'null'"]),
    one('jsonpath', ["'$.a[*] ? (@ > 1)'"], '$."a"[*]?(@ > 1)'),
    one('xml', ["'<a>é</a>'", `'<?xml version="1.0" encoding="UTF-8"?><b/>'`], '<a>é</a>'),
    one('bit', ["B'1'", "B'0'"], '1'),
    one('bit(12)', ["B'000000000001'", "B'111111111111'"], '000000000001'),
    one('varbit', ["B'0010'", "B''", "repeat('01', 100)"], '0010'),
    one('inet', ["'10.0.0.7'", "'10.0.0.7/8'", "'0.0.0.0/0'", "'::1'", "'fe80::1/64'"], '10.0.0.7'),
    one('cidr', ["'10.1.2.3/32'", "'::/0'"], '10.1.2.3/32'),
    one(
      'macaddr',
      ["'08:00:2b:01:02:03'", "'00:00:00:00:00:00'", "'ff:ff:ff:ff:ff:ff'"],
      '08:00:2b:01:02:03',
    ),
    one('macaddr8', ["'08:00:2b:01:02:03:04:05'"], '08:00:2b:01:02:03:04:05'),
    one(
      'point',
      [
        "'(1.5,-0)'",
        "'(NaN,Infinity)'",
        "'(5e-324,1.7976931348623157e308)'",
        "'(0.0001,1e15)'",
        "'(-Infinity,1e-300)'",
        "'(123456789012345.678,0.1234567890123456789)'",
        "'(9007199254740993,2.2250738585072014e-308)'",
        "'(-NaN,0)'",
      ],
      [1.5, -0],
    ),
    one('line', ["'{1,2.25,-3}'"], '{1,2.25,-3}'),
    one('lseg', ["'[(1,2),(3,4e-9)]'"], '[(1,2),(3,4e-09)]'),
    one('box', ["'(1,2),(3,4)'"], '(3,4),(1,2)'),
    one('path', ["'[(1,2),(3,4)]'", "'((1,2),(3,4))'"], '[(1,2),(3,4)]'),
    one('polygon', ["'((1,2),(3,4),(5,6))'"], '((1,2),(3,4),(5,6))'),
    one('circle', ["'<(1,2),3.5>'"], '<(1,2),3.5>'),
    one('int4range', ["'[1,10]'", "'empty'", "'(,)'"], '[1,11)'),
    one('int8range', ["'[-9223372036854775808,9)'"]),
    one('numrange', ["'(1.50,10]'"], '(1.50,10]'),
    one('tsrange', ["'[2024-01-01 10:00,infinity)'"], '["2024-01-01 10:00:00",infinity)'),
    one(
      'tstzrange',
      ["'[2024-01-01 10:00+02,2024-02-01 00:00+00)'", "'(,2024-01-01 00:00+00]'"],
      '["2024-01-01 08:00:00+00","2024-02-01 00:00:00+00")',
    ),
    one('daterange', ["'[2024-01-01,2024-02-01]'"], '[2024-01-01,2024-02-02)'),
    one(`${schema}.spans`, ["'[0.1,2]'"], '[0.1,2]'),
    one('int4multirange', ["'{[1,3),[5,7)}'", "'{}'"], '{[1,3),[5,7)}'),
    one('int8multirange', ["'{[1,3)}'"]),
    one('nummultirange', ["'{[1.5,3)}'"]),
    one('tsmultirange', ["'{[2024-01-01 10:00,2024-02-01)}'"]),
    one('tstzmultirange', ["'{[2024-01-01 10:00+02,2024-02-01 00:00+00)}'"]),
    one('datemultirange', ["'{[2024-01-01,2024-02-01]}'"]),
    one('tsvector', ["'a:1A fat:2,4 cat ''it''''s'''"], "'a':1A 'cat' 'fat':2,4 'it''s'"),
    one('tsquery', ["'fat & (rat | cat)'"], "'fat' & ( 'rat' | 'cat' )"),
    one('oid', ['4294967295', '0'], 4294967295),
    one('pg_lsn', ["'16/B374D848'", "'0/0'", "'FFFFFFFF/FFFFFFFF'"], '16/B374D848'),
    one('xid', ["'123'"], '123'),
    one('xid8', ["'18446744073709551615'", "'0'"], '18446744073709551615'),
    one('tid', ["'(1,2)'"], '(1,2)'),
    one('pg_snapshot', ["'10:20:10,14'"], '10:20:10,14'),
    one('txid_snapshot', ["'10:20:10,14'"]),
    one('int2vector', ["'1 2'", "''"], '1 2'),
    one('oidvector', ["'1 2 3'"], '1 2 3'),
    one('refcursor', ["'abc'"], 'abc'),
    one('citext', ["'AbC é'"], 'AbC é'),
    one('hstore', [`'d=>"x\\"y", "b c"=>NULL, a=>1'`, "''"], `"a"=>"1", "d"=>"x\\"y", "b c"=>NULL`),
    one('ltree', ["'Top.Science'", "''"], 'Top.Science'),
    one('lquery', ["'*.a'"], '*.a'),
    one('cube', ["'(1,2),(3,4)'"], '(1, 2),(3, 4)'),
    one(`${schema}.mood`, ["'it''s ok'", "''", "'sad'"], "it's ok"),
    one(
      `${schema}."Pair"`,
      [`ROW(1, 'a"b, c', '{2024-01-01 10:00+02}')`, `ROW(NULL, '', NULL)`],
      '(1,"a""b, c","{""2024-01-01 08:00:00+00""}")',
    ),
    one(`${schema}.cents`, ['1.5', '0'], 1.5),
    one(`${schema}.moods`, [`'{sad,"",NULL}'`, "'{}'"], ['sad', '', null]),
  ];
}
