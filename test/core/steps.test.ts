import { expect, it } from 'vitest';
import { type Step, shownStep, stepsOf } from '../../cli/core/steps.ts';

const sharedQueue: Step = {
  kind: 'lane',
  component: 'clickhouse',
  action: 'create',
  object: 'queue s.q',
  queue: { database: 's', name: 'q' },
  stop: ['DROP VIEW v'],
  start: [],
  sql: ["CREATE TABLE q ENGINE = Kafka SETTINGS kafka_sasl_password = 'it\\'s, secret', a = 1"],
};

it('shows what is done and its statements, without a password and without what only apply needs', () => {
  expect(JSON.parse(JSON.stringify(shownStep(sharedQueue)))).toEqual({
    kind: 'lane',
    component: 'clickhouse',
    action: 'create',
    object: 'queue s.q',
    sql: ["CREATE TABLE q ENGINE = Kafka SETTINGS kafka_sasl_password = '***', a = 1"],
  });
});

it('is found by its kind', () => {
  expect(stepsOf([sharedQueue], 'lane')).toEqual([sharedQueue]);
  expect(stepsOf([sharedQueue], 'topic')).toEqual([]);
});
