import { expect, test } from 'vitest';
import { mayRetry, postgresTrouble, sinkProblem } from '#exporter/sinks/postgres/retry.ts';
import { problem } from '#queue/problem.ts';

/** An error as the driver makes it of what the server or Node says. */
const error = (code: string | undefined, message = 'it said so', more = {}) =>
  Object.assign(new Error(message), code === undefined ? {} : { code }, more);

test.each([
  ['a lost, refused or ended connection', 'retry', 'database_unreachable', '08006 08001 57P01 57P02 57P03 53300 25P03'],
  [
    'the way there',
    'retry',
    'database_unreachable',
    'ECONNREFUSED ECONNRESET ETIMEDOUT EPIPE ENOTFOUND EAI_AGAIN ENOENT',
  ],
  ['a lock, a deadlock', 'retry', 'target_locked', '55P03 40P01 40001'],
  ['no room', 'attempt', 'sink_full', '53100 53200 53400 54000'],
  ['a cancelled query, a failing disk, a standby', 'attempt', 'database_failed', '57014 58030 25006'],
  ['what nobody has thought of', 'attempt', 'database_failed', '42601 42P01 XX000 P0001 99999'],
  ['who we are', 'person', 'database_refused', '28P01 28000 3D000'],
  [
    'certificates',
    'person',
    'database_refused',
    'ERR_TLS_CERT_ALTNAME_INVALID CERT_HAS_EXPIRED DEPTH_ZERO_SELF_SIGNED_CERT UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  ],
  ['rights', 'person', 'database_unprepared', '42501 3F000'],
  ['rows that the table does not take', 'person', 'target_unfit', '23514 23502 22001 44000'],
  ['damaged data', 'person', 'database_corrupt', 'XX001 XX002'],
])('%s: %s', (_what, verdict, code, codes) => {
  for (const state of codes.split(' ')) {
    expect([state, postgresTrouble(error(state))]).toEqual([state, expect.objectContaining({ verdict, code })]);
    expect(mayRetry(error(state))).toBe(verdict === 'retry');
  }
});

test('judges the driver’s own errors by their texts', () => {
  const texts = {
    retry: [
      'Connection terminated unexpectedly',
      'Client has encountered a connection error and is not queryable',
      'timeout expired',
    ],
    person: [
      'The server does not support SSL connections',
      'SASL: SCRAM-SERVER-FIRST-MESSAGE: server nonce is too short',
    ],
    attempt: ['something else', ''],
  };
  for (const [verdict, list] of Object.entries(texts)) {
    for (const text of list) expect([text, postgresTrouble(error(undefined, text)).verdict]).toEqual([text, verdict]);
  }
});

test('a Problem says the SQLSTATE and what to do, and quotes no row', () => {
  const failed = error('23514', 'no partition of relation "X" found for row', {
    detail: 'Partition key of the failing row contains ("EXAM") = (secret).',
    where: 'COPY X, line 1: "my answer"',
  });
  const { code, message, remedy } = sinkProblem(failed);
  expect([code, message]).toEqual(['target_unfit', 'PostgreSQL: no partition of relation "X" found for row (23514)']);
  expect(remedy).toContain('docs/postgres.md');
  const own = problem('rows_doubled', 'a', 'b');
  expect(sinkProblem(own)).toBe(own);
  expect(mayRetry(own)).toBe(false);
});
