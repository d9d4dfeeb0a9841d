import { describe, expect, test } from 'vitest';
import { until } from '#test/support/until.ts';
import { loadAll, publish } from './job.ts';
import { type DoubleTarget, doubleTarget, publishedRows } from './oracletarget.ts';
import { outcomeOf, startLoad, startPublish } from './programs.ts';
import { type SealedSession, sealedSession } from './sealedsession.ts';

// The exporter is killed before and after the server has done each thing that it asks for: the server holds the n-th
// message (or its reply) until the process is dead.

const configOf = (session: SealedSession, target: DoubleTarget) => (attempt: number) =>
  session.config(attempt, { sink: target.sink, report: `${session.report}.${target.server.port}` });

/** How many messages a command sends, on a server like that of the test. */
async function messagesOf(session: SealedSession, command: 'load' | 'publish'): Promise<number> {
  const target = await doubleTarget();
  const config = configOf(session, target)(1);
  if (command === 'publish') await loadAll(config);
  const before = target.server.log.length;
  const { exit } = await outcomeOf(command === 'load' ? startLoad(config, 0) : startPublish(config));
  expect(exit.code).toBe(0);
  await target.server.stop();
  return target.server.log.length - before;
}

async function killAt(
  session: SealedSession,
  command: 'load' | 'publish',
  n: number,
  when: 'before' | 'after',
): Promise<void> {
  const place = `${command} killed ${when} message ${n}`;
  const target = await doubleTarget();
  const config = configOf(session, target);
  if (command === 'publish') await loadAll(config(1));
  const struck = target.server.faults.add({ n, when, stall: true });
  const program = command === 'load' ? startLoad(config(1), 0) : startPublish(config(1));
  await until(() => struck() === 1, { what: place, timeoutMs: 30_000 });
  program.kill('SIGKILL');
  await outcomeOf(program);
  target.server.faults.release();
  await until(() => target.server.connections() === 0, { what: 'its connections to end', timeoutMs: 10_000 });
  target.server.faults.clear();
  expect([place, await publishedRows(target, session.uid)]).toEqual([place, expect.toBeOneOf([0, session.total])]);
  let attempt = 1;
  const again = await loadAll(config(1)).catch((error: unknown) => error);
  if (again !== undefined) {
    expect([place, again]).toEqual([place, expect.objectContaining({ code: 'staging_ambiguous' })]);
    attempt = 2;
    await loadAll(config(attempt));
  }
  const done = await publish(config(attempt));
  expect([place, done]).toEqual([place, expect.objectContaining({ verified: true, rows: session.total })]);
  expect([place, await publishedRows(target, session.uid)]).toEqual([place, session.total]);
  await target.server.stop();
}

describe('kill -9 around every message', () => {
  test.for(['load', 'publish'] as const)('of %s', { timeout: 1_800_000 }, async (command) => {
    const session = await sealedSession({ shards: 1 });
    const count = await messagesOf(session, command);
    for (let n = 1; n <= count; n++) {
      for (const when of ['before', 'after'] as const) await killAt(session, command, n, when);
    }
  });
});
