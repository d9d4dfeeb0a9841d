import { cpSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { memoryOutbox } from '#client/memoryoutbox.ts';
import type { LocalStatus } from '#operator/local/statusfile.ts';
import { initShard } from '#queue/init.ts';
import { startRedis } from '#test/support/redis.ts';
import { until } from '#test/support/until.ts';
import { answer, condition, newSession, programs } from './runs.ts';

// What a run does when its data, its time or its sink are not as they should be.

const queueOf = (status: LocalStatus) => condition(status, 'QueueReady');

test('a volume of another session with the same name is not served from', { timeout: 40_000 }, async () => {
  const session = newSession();
  const first = session.start();
  await first.phase('Active');
  await first.stop();
  const other = await startRedis();
  const uid = '00000000-0000-4000-8000-000000000000';
  await initShard(other, { uid, exam: 'algebra', shard: 0, shards: 2, incarnation: 'another' });
  await other.stop();
  const [dir, own] = [session.folder.redis(0).appendOnlyDir, `${session.folder.root}/own`];
  renameSync(dir, own);
  cpSync(`${other.dir}/appendonlydir`, dir, { recursive: true });

  const second = session.start();
  const failed = await second.phase('Failed');
  expect(queueOf(failed)).toMatchObject({ status: 'False', reason: 'shard_foreign' });
  expect(queueOf(failed).message).toContain(`the uid of this Redis is "${uid}"`);
  // Mended by a person who puts its own volume back: it goes on by itself.
  rmSync(dir, { recursive: true });
  renameSync(own, dir);
  process.kill(failed.pids.redis[0]!, 'SIGKILL');
  await second.phase('Active');
  await second.stop();
  // Deleted and made again, and volumes are still there: whose answers are they?
  rmSync(session.folder.identity);
  const third = session.start();
  await third.program.ended();
  expect(third.program.lines.at(-1)).toMatchObject({ problem: 'folder_without_identity' });
});

test('an older or an empty volume is not served from, and not initialised again', { timeout: 40_000 }, async () => {
  const session = newSession();
  const students = ['ada', 'bob', 'carl', 'dan', 'eve', 'fay'];
  const answerAll = (url: string) => Promise.all(students.map((student) => answer(session, url, student, 'text')));
  const first = session.start();
  const { url } = await first.phase('Active');
  const [one, other] = [session.folder.redis(0).appendOnlyDir, session.folder.redis(1).appendOnlyDir];
  await answerAll(url!);
  cpSync(other, `${other}.older`, { recursive: true });
  await answerAll(url!);
  await first.until(({ events }) => events.durable === 12, 'the witnesses of all answers');
  await first.kill();
  rmSync(one, { recursive: true });
  rmSync(other, { recursive: true });
  renameSync(`${other}.older`, other);

  const second = session.start();
  const failed = await second.until(
    (status) => queueOf(status).message.includes('is empty') && queueOf(status).message.includes('has lost data'),
    'both alarms',
  );
  expect(failed).toMatchObject({ phase: 'Failed', events: { durable: 12 } });
  expect(condition(failed, 'Degraded').status).toBe('True');
  // It cannot be sealed either: finalizing fails aloud, and waits.
  await session.edit(['spec', 'phase'], 'Finalizing');
  const asked = await second.until(({ observedGeneration }) => observedGeneration === 2, 'the edit');
  expect(asked).toMatchObject({ phase: 'Failed', sealing: null });
  await second.stop();
});

test('a shard whose data is gone for good is made anew when an admin says so, and filled from the devices', {
  timeout: 40_000,
}, async () => {
  const session = newSession();
  const run = session.start();
  const { url, pids } = await run.phase('Active');
  const students = await Promise.all(['ada', 'bob', 'carl', 'dan'].map((name) => session.student(name, url!)));
  for (const student of students) {
    await student.open();
    for (let i = 0; i < 3; i++) await student.settled(await student.submit({ i }));
  }
  await run.until(({ events }) => events.durable === 12, 'the answers');
  rmSync(session.folder.redis(0).appendOnlyDir, { recursive: true });
  process.kill(pids.redis[0]!, 'SIGKILL');
  const gone = await run.until((status) => queueOf(status).reason === 'shard_foreign', 'the alarm');
  expect(gone.phase).toBe('Active');
  const told = /add \{shard: 0, incarnation: (?<incarnation>[0-9a-f-]+)\}/.exec(queueOf(gone).message);

  await session.edit(['spec', 'redis', 'refill'], [{ shard: 0, ...told!.groups }]);
  const refilled = await run.until(
    ({ events, conditions }) =>
      events.durable === 12 && conditions.every(({ type, status }) => type !== 'Ready' || status === 'True'),
    'the devices to fill it',
    30_000,
  );
  expect(refilled).toMatchObject({ phase: 'Active', uid: gone.uid });
  expect(readdirSync(session.folder.redisDir).filter((name) => name.startsWith('0.given-up-'))).toHaveLength(1);
  // The entry stays in the session, and does nothing any more.
  await session.edit(['spec', 'graceSeconds'], 0);
  await run.until(({ observedGeneration }) => observedGeneration === 3, 'another pass');
  expect(run.status!.events.durable).toBe(12);
  await run.stop();
});

test('a full disk refuses answers, and those that devices keep arrive when there is room', {
  timeout: 40_000,
}, async () => {
  const session = newSession();
  const first = session.start({ settings: { fullAbove: 0, notFullBelow: 0 } });
  const full = await first.until((status) => condition(status, 'Degraded').reason === 'Full', 'the alarm');
  expect(condition(full, 'Degraded').message).toContain('free or add disk space');
  const { url } = await first.phase('Active');
  const ada = await session.student('ada', url!);
  await ada.open();
  const seq = await ada.submit({ text: 'kept by the client' });
  await first.until(({ students }) => students.connected === 1, 'the student');
  await first.kill();
  expect(first.status!.events.durable).toBe(0);
  const second = session.start();
  await second.phase('Active');
  await ada.settled(seq);
  await second.until(({ events }) => events.durable === 1, 'the answer');
  await second.stop();
});

test("a session seals by itself, but not before the last student's extra time is over", {
  timeout: 40_000,
}, async () => {
  const session = newSession();
  const closesAt = Date.now() + 4_000;
  session.set('closesAt', new Date(closesAt).toISOString());
  session.set('autoFinalize', true);
  session.set('roster', { file: 'extra.csv' });
  writeFileSync(session.file.replace('session.yaml', 'extra.csv'), 'student,extra minutes\nada,1\nbob,0\n');
  const run = session.start({ settings: { verifiedLingerSeconds: 1 } });
  const { url } = await run.phase('Active');
  const [ada, bob] = [await session.student('ada', url!), await session.student('bob', url!)];
  await Promise.all([ada.open(), bob.open()]);
  expect([ada.state.deadline, bob.state.deadline]).toEqual([closesAt + 60_000, closesAt]);
  await until(() => Date.now() > closesAt + 1_200, { what: 'the deadline and its grace', timeoutMs: 10_000 });
  await expect(bob.submit('too late').then((seq) => bob.settled(seq))).rejects.toMatchObject({ code: 'late' });
  await ada.settled(await ada.submit('in my own time'));
  expect(run.status).toMatchObject({ phase: 'Active', sealing: null });
  // The minute is not waited for: the extra time is taken back, and then nobody has time any more.
  writeFileSync(session.folder.roster('extra.csv'), 'ada,0\nbob,0\n');
  const completed = await run.phase('Completed', 30_000);
  expect(completed.events).toMatchObject({ durable: 1, exported: 1 });
  await run.program.ended(15_000);
});

test('while the sink fails a gateway tells students what is saved, and new attempts follow until one succeeds', {
  timeout: 60_000,
}, async () => {
  const session = newSession();
  // An exporter that cannot be started: every attempt fails, and the queue stays.
  const first = session.start({ programs: { ...programs, exporter: [`${session.file}.no-such-program`] } });
  const { url } = await first.phase('Active');
  const outbox = memoryOutbox();
  const ada = await session.student('ada', url!, { outbox });
  await ada.open();
  await ada.settled(await ada.submit('saved'));
  await ada.close();
  await session.edit(['spec', 'phase'], 'Finalizing');
  const failed = await first.until((status) => (status.export?.attempt ?? 0) >= 2, 'the second attempt', 25_000);
  expect(failed).toMatchObject({ phase: 'Exporting', pids: { redis: { length: 2 } } });
  expect(condition(failed, 'Sealed').status).toBe('True');
  const again = await session.student('ada', failed.url!, { outbox });
  expect(await again.open()).toMatchObject({ durableSeq: 1 });
  await expect(again.submit('after').then((seq) => again.settled(seq))).rejects.toMatchObject({ code: 'sealed' });
  await again.close();
  await first.kill();
  // Mended: a new attempt, from the same sealed queue.
  const second = session.start({ settings: { verifiedLingerSeconds: 1 } });
  const completed = await second.phase('Completed', 30_000);
  expect(completed.export!.attempt).toBeGreaterThan(failed.export!.attempt);
  expect(completed.events.exported).toBe(1);
  await second.program.ended(15_000);
});
