import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { exitCodeOf, exitCodes } from '#exporter/outcome.ts';
import { errorDoc } from '#exporter/sinks/oracle/errordoc.ts';
import { codeOf, directPathRefused, errorClasses, errorClassOf } from '#exporter/sinks/oracle/errors.ts';
import { mayRetry, sinkProblem } from '#exporter/sinks/oracle/retry.ts';

/** As the driver makes them of what the server says. */
function oraError(code: string, text: string): Error {
  const errorNum = Number(code.slice(4));
  const help = `Help: https://docs.oracle.com/error-help/db/${code.toLowerCase()}/`;
  return Object.assign(new Error(`${code}: ${text}\n${help}`), { code, errorNum });
}

const njsError = (code: string, text: string) => Object.assign(new Error(`${code}: ${text}`), { code });
const all = errorClasses.flatMap((one) => Object.keys(one.codes).map((code) => ({ code, one })));

test('docs/oracle.md holds the table of codes as it is', () => {
  const text = readFileSync(join(import.meta.dirname, '../../docs/oracle.md'), 'utf8');
  const [, table] = /<!-- codes: [^>]*-->\n\n([\s\S]*?)\n\n<!-- end of codes -->/.exec(text) ?? [];
  expect(table).toBe(errorDoc());
});

test('no code is in two classes', () => {
  const codes = all.map(({ code }) => code);
  expect(codes).toHaveLength(new Set(codes).size);
});

test.each(all)('$code: $one.title', ({ code, one }) => {
  const error = code.startsWith('ORA') ? oraError(code, 'it says') : njsError(code, 'it says');
  expect(codeOf(error)).toBe(code);
  expect(mayRetry(error)).toBe(one.verdict === 'retry');
  const told = sinkProblem(error, 'untradex');
  expect(told).toMatchObject({ code: one.code, message: `Oracle: ${code}: it says` });
  expect(told.remedy).toContain(one.remedy);
  expect(exitCodeOf(told)).toBe(one.verdict === 'person' ? exitCodes.forGood : exitCodes.tryAgain);
});

describe('what a database administrator is told', () => {
  const remedyOf = (code: string, text: string) => sinkProblem(oraError(code, text), 'untradex').remedy;
  test.each([
    [
      'ORA-01653',
      'unable to extend table UNTRADEX.X by 128 in tablespace USERS',
      'ALTER TABLESPACE "USERS" ADD DATAFILE',
    ],
    ['ORA-01652', 'unable to extend temp segment by 128 in tablespace TEMP', 'ALTER TABLESPACE "TEMP" ADD TEMPFILE'],
    [
      'ORA-30036',
      "unable to extend segment by 8 in undo tablespace 'UNDOTBS1'",
      'ALTER TABLESPACE "UNDOTBS1" ADD DATAFILE',
    ],
    ['ORA-01536', "space quota exceeded for tablespace 'USERS'", 'ALTER USER "UNTRADEX" QUOTA UNLIMITED ON "USERS";'],
    ['ORA-01950', "no privileges on tablespace 'USERS'", 'ALTER USER "UNTRADEX" QUOTA UNLIMITED ON "USERS";'],
    ['ORA-00257', 'archiver error. Connect internal only, until freed.', 'ALTER SYSTEM SET DB_RECOVERY_FILE_DEST_SIZE'],
    ['ORA-28000', 'the account is locked', 'ALTER USER "UNTRADEX" ACCOUNT UNLOCK;'],
    ['ORA-01045', 'user lacks CREATE SESSION privilege; logon denied', 'GRANT CREATE SESSION TO "UNTRADEX";'],
    ['ORA-01031', 'insufficient privileges', 'GRANT CREATE SESSION, CREATE TABLE TO "UNTRADEX";'],
  ])('%s', (code, text, statement) => {
    expect(remedyOf(code, text)).toContain(statement);
  });
});

test('the listener’s refusals and lost connections, which the driver wraps, are told by the database’s code', () => {
  const refused = njsError(
    'NJS-511',
    'connection to listener at host h port 1 was refused. (CONNECTION_ID=x)\nCause: ORA-12516',
  );
  expect([codeOf(refused), errorClassOf(refused).code]).toEqual(['ORA-12516', 'database_busy']);
  const shut = Object.assign(
    new Error('NJS-500: connection to Oracle Database was closed or broken\nORA-01089: immediate shutdown'),
    {
      code: 'NJS-500',
      errorNum: 1089,
    },
  );
  expect(codeOf(shut)).toBe('ORA-01089');
  expect(sinkProblem(shut, 'u').message).toBe('Oracle: ORA-01089: immediate shutdown');
});

test('what nobody has thought of is tried again in a new attempt; values of rows are never told', () => {
  for (const error of [oraError('ORA-64999', 'new'), new Error('odd'), null]) {
    expect(errorClassOf(error)).toMatchObject({ verdict: 'attempt', code: 'database_failed' });
  }
  const detailed = oraError(
    'ORA-00001',
    'unique constraint (U.K) violated\nORA-03301: row with column values (STUDENT:Zoë) exists',
  );
  expect(sinkProblem(detailed, 'u').message).toBe('Oracle: ORA-00001: unique constraint (U.K) violated');
});

test('a refusal of direct path is none of the errors that end an attempt', () => {
  for (const code of directPathRefused) expect(all.map((one) => one.code)).not.toContain(code);
});
