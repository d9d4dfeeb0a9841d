import { beforeAll, expect, test } from 'vitest';
import { exitCodeOf, exitCodes } from '#exporter/outcome.ts';
import { planOf } from '#test/conformance/sinkrows.ts';
import { long } from '#test/support/long.ts';
import type { TestPostgres } from '#test/support/postgres.ts';
import { expectExported, exportOnce, postgresTarget, publishedRows, startExamServer } from './postgrestarget.ts';
import { startStatementProxy } from './statementproxy.ts';

let server: TestPostgres;

beforeAll(async () => {
  server = await startExamServer();
}, 90_000);

/** In the short run a connection is lost at every fourth place, another time at others, and at all that commit. */
const offset = Math.floor(Date.now() / 60_000);
function isSpared(number: number, when: string, statement: string): boolean {
  return (
    !(when === 'after' && statement.startsWith('COMMIT')) && (2 * number + Number(when === 'after') + offset) % 4 > 0
  );
}

test('a connection that is lost before or after any statement leaves everything or nothing, and one export in the end', {
  timeout: 90_000,
}, async () => {
  const proxy = await startStatementProxy(server);
  const impatient = { port: proxy.port, patienceSeconds: 0 };
  const plan = () => planOf([9]);
  const first = await postgresTarget(server);
  proxy.cutAt(null);
  await exportOnce(first, plan(), impatient);
  const { statements } = proxy;
  expect(statements.filter((one) => one.startsWith('COMMIT')).length).toBeGreaterThan(5);
  expect(statements).toContain('copy done');
  for (let number = 0; number < statements.length; number++) {
    for (const when of ['before', 'after'] as const) {
      if (!long && isSpared(number, when, statements[number]!)) continue;
      const target = await postgresTarget(server);
      const own = plan();
      const place = `${when} ${number}: ${statements[number]}`;
      proxy.cutAt(number, when);
      const error = await exportOnce(target, own, impatient).then(
        () => null,
        (reason: unknown) => reason,
      );
      // Never a reason to give up: whatever was cut, a new attempt may work. (A reply that the sink does not need may be lost unseen.)
      if (error !== null) expect([place, exitCodeOf(error)]).toEqual([place, exitCodes.tryAgain]);
      expect([place, await publishedRows(target, own.session.uid)]).toEqual([place, expect.toBeOneOf([0, 9])]);
      let attempt = 1;
      for (let done = false; !done; attempt++) {
        done = await exportOnce(target, { ...own, attempt }).then(
          () => true,
          (reason: { code?: string }) => {
            expect([place, reason.code]).toEqual([place, 'staging_ambiguous']);
            return false;
          },
        );
      }
      expect([place, attempt]).toEqual([place, expect.toBeOneOf([2, 3])]);
      await expectExported(target, { ...own, attempt: attempt - 1 });
    }
  }
});
