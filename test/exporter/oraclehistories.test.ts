import { describe, expect, test } from 'vitest';
import type { AttemptPlan } from '#exporter/attempt.ts';
import { exitCodeOf, exitCodes } from '#exporter/outcome.ts';
import { planOf } from '#test/conformance/sinkrows.ts';
import { long } from '#test/support/long.ts';
import type { Fault, Message } from '#test/support/oracle/faults.ts';
import { type DoubleTarget, doubleTarget, expectExported, exportOnce, publishedRows } from './oracletarget.ts';

/** Nobody waits: what fails, fails. */
const impatient = { patienceSeconds: 0 };

/** What one export says to the server, from its first message to its last, on a server that holds nothing yet. */
async function messagesOf(plan: AttemptPlan): Promise<readonly Message[]> {
  const target = await doubleTarget();
  await exportOnce(target, plan, impatient);
  await target.server.stop();
  return target.server.log;
}

/** In the short run something happens at few places, another time at others, and wherever the server commits. */
const offset = Math.floor(Date.now() / 60_000);
function isSpared(place: number, message: Message, when: string): boolean {
  if (long || (when === 'after' && commits(message))) return false;
  return (place + offset) % 20 > 0;
}

/** Claims and what is frozen are committed by the message that inserts them. */
function commits({ what, sql = '' }: Message): boolean {
  return what === 'finish' || what === 'commit' || /^INSERT INTO \S+\s+\([^)]*\)\s+VALUES/.test(sql);
}

/**
 * Whatever befalls the n-th message, the target holds all of the session's rows or none, no reason to give up is told,
 * and the attempts that follow export it once.
 */
async function survives(target: DoubleTarget, plan: AttemptPlan, place: string, fault: Fault): Promise<void> {
  const struck = target.server.faults.add(fault);
  const error = await exportOnce(target, plan, impatient).then(
    () => null,
    (reason: unknown) => reason,
  );
  expect([place, struck()]).toEqual([place, 1]);
  target.server.faults.clear();
  if (error !== null) expect([place, exitCodeOf(error)]).toEqual([place, exitCodes.tryAgain]);
  expect([place, await publishedRows(target, plan.session.uid)]).toEqual([place, expect.toBeOneOf([0, 9])]);
  let attempt = 1;
  for (let done = false; !done; attempt++) {
    done = await exportOnce(target, { ...plan, attempt }, impatient).then(
      () => true,
      (reason: { code?: string }) => {
        expect([place, reason.code]).toEqual([place, 'staging_ambiguous']);
        return false;
      },
    );
  }
  expect([place, attempt]).toEqual([place, expect.toBeOneOf([2, 3])]);
  await expectExported(target, { ...plan, attempt: attempt - 1 });
  await target.server.stop();
}

describe('a connection that is lost at any message leaves everything or nothing, and one export in the end', () => {
  test.for(['before', 'after', 'amid'] as const)('%s it', { timeout: 600_000 }, async (when) => {
    const messages = await messagesOf(planOf([9]));
    expect(messages.filter(({ what }) => what === 'finish')).toHaveLength(1);
    expect(messages.filter(commits).length).toBeGreaterThan(6);
    const tested = messages.filter((message, i) => message.what !== 'logoff' && !isSpared(i, message, when));
    for (const { n, what, sql = '' } of tested) {
      const place = `${when} ${n}: ${what} ${sql.slice(0, 60)}`;
      await survives(await doubleTarget(), planOf([9]), place, { n, when, drop: true });
    }
  });
});

describe('a publisher whose connection is lost at any message goes on by itself, and publishes once', () => {
  test.for(['before', 'after'] as const)('%s it', { timeout: 600_000 }, async (when) => {
    const own = planOf([9]);
    const messages = await messagesOf(own);
    const first = messages.findIndex(({ sql = '' }) => sql.includes('FOR UPDATE'));
    const last = messages.findLastIndex(({ what }) => what === 'commit');
    const publishing = messages.slice(first, last + 1);
    expect(publishing.some(({ sql = '' }) => sql.startsWith('INSERT /*+ APPEND */'))).toBe(true);
    for (const [i, { what, sql = '' }] of publishing.entries()) {
      if (isSpared(4 * i, publishing[i]!, when)) continue;
      const place = `${when} ${what} ${sql.slice(0, 60)}`;
      const target = await doubleTarget();
      const plan = planOf([9]);
      let seen = -1;
      const begun = ({ sql: text = '' }: Message) => {
        if (seen === -1 && !text.includes('FOR UPDATE')) return false;
        seen += 1;
        return seen === i;
      };
      const struck = target.server.faults.add({ match: begun, when, drop: true });
      const published = await exportOnce(target, plan);
      expect([place, struck()]).toEqual([place, 1]);
      // Only the reply to the last commit hides what was done.
      const already = i === publishing.length - 1 && when === 'after';
      expect([place, published]).toEqual([
        place,
        expect.objectContaining({ already, attempt: 1, rows: 9, retries: 1 }),
      ]);
      target.server.faults.clear();
      await expectExported(target, plan);
      await target.server.stop();
    }
  });
});
