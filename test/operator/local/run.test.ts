import { cpSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { memoryOutbox } from '#client/memoryoutbox.ts';
import type { ConditionType } from '#operator/conditions.ts';
import { startOf } from '#operator/local/processes.ts';
import type { LocalStatus } from '#operator/local/statusfile.ts';
import type { Phase } from '#operator/status.ts';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { until } from '#test/support/until.ts';
import { newSession, programs, type Session } from './runs.ts';

const condition = ({ conditions }: LocalStatus, type: ConditionType) => conditions.find((one) => one.type === type)!;

/** One answer, waited for until it is durable. */
async function answer(session: Session, url: string, student: string, text: string): Promise<void> {
  const client = await session.student(student, url);
  await client.open();
  await client.settled(await client.submit({ text }));
  await client.close();
}

const gone = (pids: readonly number[]) =>
  until(async () => (await Promise.all(pids.map(startOf))).every((start) => start === null), {
    what: `${pids} to end`,
  });

describe('a run', () => {
  test('leads a session through its life, and ends when it is completed', { timeout: 40_000 }, async () => {
    const session = newSession('exam: Algebra I');
    const run = session.start({ settings: { verifiedLingerSeconds: 3 } });
    const active = await run.phase('Active');
    expect(active).toMatchObject({ name: 'algebra', dataDir: session.folder.root, sealing: null });
    expect(active.pids.gateway).toHaveLength(2);
    expect(active.pids.redis).toHaveLength(2);

    let verified = '';
    const ada = await session.student('ada', active.url!, {
      onVerified: (root) => {
        verified = root;
      },
    });
    await ada.open();
    for (let i = 0; i < 5; i++) await ada.submit({ i });
    await ada.finish();
    await run.until(({ students, events }) => students.finished === 1 && events.durable === 5, 'the counts');

    await session.edit(['spec', 'phase'], 'Finalizing');
    const completed = await run.phase('Completed', 25_000);
    expect(condition(completed, 'Verified').status).toBe('True');
    expect(completed.events).toMatchObject({ durable: 5, exported: 5 });
    await until(() => verified !== '', { what: 'the client to be told', timeoutMs: 10_000 });
    expect(verified).toBe(completed.redis.root);

    expect(await run.program.ended(15_000)).toEqual({ code: 0, signal: null });
    expect(run.status).toMatchObject({ phase: 'Completed', url: null, pids: { gateway: [], redis: [] } });
    expect(JSON.parse(readFileSync(session.folder.status, 'utf8'))).toEqual(run.status);
    for (const pid of [...active.pids.gateway, ...active.pids.redis]) expect(await startOf(pid)).toBeNull();
    expect(existsSync(session.folder.database)).toBe(true);

    // And again: there is nothing left to do, and nothing is started for it.
    const again = session.start();
    expect(await again.program.ended(10_000)).toEqual({ code: 0, signal: null });
    expect(again.status).toMatchObject({ phase: 'Completed', events: { exported: 5 } });
    secretsStaySecret(session);
  });

  test('killed in every phase goes on where it was, and loses no answer', { timeout: 60_000 }, async () => {
    const session = newSession();
    const outbox = memoryOutbox();
    const settings = { verifiedLingerSeconds: 2 };
    const waits: Phase[] = ['Provisioning', 'Active', 'Draining', 'Exporting', 'Completed'];
    let before: LocalStatus | undefined;
    let url = '';
    for (const phase of waits) {
      const run = session.start({ settings });
      if (phase === 'Active') {
        const active = await run.phase('Active');
        expect(before === undefined || url === '' || active.url === url).toBe(true);
        url = active.url!;
        const ada = await session.student('ada', url, { outbox });
        await ada.open();
        for (let i = 0; i < 20; i++) await ada.settled(await ada.submit({ i }));
        await ada.close();
        await session.edit(['spec', 'phase'], 'Finalizing');
      } else {
        await run.phase(phase, 25_000);
      }
      if (before !== undefined) await gone(before.pids.redis);
      before = run.status;
      await run.kill();
      // Gateways end with their parent; Redis stays, until the next run ends it.
      await gone(before!.pids.gateway);
    }
    const last = session.start({ settings });
    expect(await last.program.ended(25_000)).toMatchObject({ code: 0 });
    expect(last.status).toMatchObject({ phase: 'Completed', events: { durable: 20, exported: 20 } });
    await gone(before!.pids.redis);
    expect(JSON.parse(readFileSync(session.folder.children, 'utf8'))).toEqual([]);
  });

  test('ended by SIGTERM leaves no process behind, and can be resumed', { timeout: 30_000 }, async () => {
    const session = newSession();
    const first = session.start();
    const { pids, url } = await first.phase('Active');
    await answer(session, url!, 'ada', 'before');
    await first.stop();
    expect(first.program.exit).toEqual({ code: 0, signal: null });
    for (const pid of [...pids.gateway, ...pids.redis]) expect(await startOf(pid)).toBeNull();
    expect(condition(first.status!, 'Ready')).toMatchObject({ status: 'False', reason: 'Stopped' });

    const second = session.start();
    const active = await second.until(
      ({ phase, pids }) => phase === 'Active' && pids.gateway.length === 2,
      'Active again',
    );
    expect([active.url, active.uid]).toEqual([url, first.status!.uid]);
    expect(active.events.durable).toBe(1);
    await answer(session, url!, 'ada', 'after');
    await second.stop();
  });

  test('starts what dies, and tells the new pids', { timeout: 30_000 }, async () => {
    const session = newSession();
    const run = session.start();
    const { pids, url } = await run.phase('Active');
    process.kill(pids.redis[0]!, 'SIGKILL');
    process.kill(pids.gateway[0]!, 'SIGKILL');
    const whole = ({ pids: now, conditions }: LocalStatus) =>
      now.gateway.length === 2 &&
      now.redis.length === 2 &&
      !now.redis.includes(pids.redis[0]!) &&
      !now.gateway.includes(pids.gateway[0]!) &&
      conditions.every(
        ({ type, status }) => status === 'True' || !['QueueReady', 'GatewayReady', 'Ready'].includes(type),
      );
    await run.until(whole, 'everything to be back');
    expect(run.program.lines.every((line) => line.phase !== 'Failed')).toBe(true);
    for (const student of ['ada', 'bob', 'carl']) await answer(session, url!, student, 'after');
    await run.stop();
  });
});

describe('a run is refused', () => {
  test('while another has the folder, and it names that one', { timeout: 20_000 }, async () => {
    const session = newSession();
    const first = session.start();
    const { pids } = await first.phase('Active');
    const second = session.start();
    expect(await second.program.ended()).toMatchObject({ code: 65 });
    expect(second.program.lines.at(-1)).toMatchObject({
      problem: 'folder_in_use',
      message: expect.stringContaining(`process ${first.program.pid},`),
    });
    expect(await Promise.all(pids.redis.map(startOf))).not.toContain(null);
    await first.stop();
  });

  test('when its port is taken, its session is broken, or there is none', { timeout: 20_000 }, async () => {
    const session = newSession();
    const server = createServer().listen(0, '127.0.0.1');
    onScopeEnd(() => void server.close());
    await until(() => server.address(), { what: 'a taken port' });
    const refused = async (options: Parameters<Session['start']>[0], problem: string) => {
      const run = session.start(options);
      await run.program.ended();
      expect(run.program.lines.at(-1)).toMatchObject({ problem, remedy: expect.stringMatching(/.{10}/) });
    };
    await refused({ file: `${session.file}.none` }, 'session_missing');
    await refused({ port: (server.address() as AddressInfo).port }, 'port_taken');
    writeFileSync(session.file, readFileSync(session.file, 'utf8').replace('students: 40', 'students: forty'));
    await refused({}, 'session_invalid');
  });
});

describe("a Redis that is not the session's own", () => {
  test('is not served from, also when it was one of a session with the same name', { timeout: 30_000 }, async () => {
    const [old, session] = [newSession(), newSession()];
    const before = old.start();
    await answer(old, (await before.phase('Active')).url!, 'ada', 'of the old session');
    await before.stop();
    const first = session.start();
    await first.phase('Active');
    await first.stop();
    const [dir, own] = [session.folder.redis(0).appendOnlyDir, `${session.folder.root}/own`];
    renameSync(dir, own);
    cpSync(old.folder.redis(0).appendOnlyDir, dir, { recursive: true });
    const second = session.start();
    const failed = await second.phase('Failed');
    expect(queueOf(failed)).toMatchObject({ status: 'False', reason: 'shard_foreign' });
    expect(queueOf(failed).message).toContain('the uid of this Redis is');
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
    await answerAll((await first.phase('Active')).url!);
    await first.stop();
    const [one, other] = [session.folder.redis(0).appendOnlyDir, session.folder.redis(1).appendOnlyDir];
    cpSync(other, `${other}.older`, { recursive: true });

    const second = session.start();
    await answerAll((await second.phase('Active')).url!);
    const { pids } = await second.until(({ events }) => events.durable === 12, 'the witnesses of all answers');
    rmSync(one, { recursive: true });
    rmSync(other, { recursive: true });
    cpSync(`${other}.older`, other, { recursive: true });
    for (const pid of pids.redis) process.kill(pid, 'SIGKILL');
    const told = await second.until(
      (status) => ['shard_foreign', 'shard_lost'].every((code) => queueOf(status).message.includes(remedyOf[code]!)),
      'both alarms',
    );
    expect(told.phase).toBe('Active');
    expect(condition(told, 'Degraded').status).toBe('True');
    // It cannot be sealed either: finalizing fails aloud, and waits. Also after a new start.
    await session.edit(['spec', 'phase'], 'Finalizing');
    expect((await second.phase('Failed')).sealing).toBeNull();
    await second.stop();
    const third = session.start();
    const failed = await third.phase('Failed');
    expect(failed.events.durable).toBe(12);
    expect(queueOf(failed).status).toBe('False');
    await third.stop();
  });
});

test('a shard whose data is gone for good is made anew when an admin says so, and filled from the devices', {
  timeout: 40_000,
}, async () => {
  const session = newSession();
  const run = session.start();
  const { url, pids } = await run.phase('Active');
  const students = await Promise.all(['ada', 'bob', 'carl', 'dan'].map((name) => session.student(name, url!)));
  await Promise.all(
    students.map(async (student) => {
      await student.open();
      for (let i = 0; i < 3; i++) await student.settled(await student.submit({ i }));
    }),
  );
  await run.until(({ events }) => events.durable === 12, 'the answers');
  rmSync(session.folder.redis(0).appendOnlyDir, { recursive: true });
  process.kill(pids.redis[0]!, 'SIGKILL');
  const gone = await run.until((status) => queueOf(status).reason === 'shard_foreign', 'the alarm');
  const { shard, incarnation } = /\{shard: (?<shard>\d), incarnation: (?<incarnation>[0-9a-f-]+)\}/.exec(
    queueOf(gone).message,
  )!.groups!;
  expect(Number(shard)).toBe(0);

  await session.edit(['spec', 'redis', 'refill'], [{ shard: 0, incarnation }]);
  const refilled = await run.until(
    (status) => queueOf(status).status === 'True' && status.events.durable === 12 && status.pids.gateway.length === 2,
    'the devices to fill it',
    25_000,
  );
  expect(refilled).toMatchObject({ phase: 'Active', uid: gone.uid });
  expect(readdirSync(`${session.folder.root}/redis`).filter((name) => name.startsWith('0.given-up-'))).toHaveLength(1);
  // The entry stays in the session, and does nothing any more.
  await session.edit(['spec', 'graceSeconds'], 0);
  await run.until(({ observedGeneration }) => observedGeneration === 3, 'another pass');
  expect(run.status!.events.durable).toBe(12);
  await run.stop();
});

const queueOf = (status: LocalStatus) => condition(status, 'QueueReady');
const remedyOf: Record<string, string> = {
  shard_foreign: 'this Redis is empty',
  shard_lost: 'it has lost data',
};

describe('while students answer', () => {
  test('more students get gateways, and never another number of shards', { timeout: 30_000 }, async () => {
    const session = newSession('answers: {perStudent: 100}');
    session.set('gateway', { studentsPerReplica: 100 });
    const run = session.start();
    const before = await run.phase('Active');
    expect(before.pids.gateway).toHaveLength(2);
    await session.edit(['spec', 'students'], 250);
    await session.edit(['spec', 'redis', 'shards'], 5);
    const after = await run.until(({ pids }) => pids.gateway.length === 4, 'more gateways');
    expect(after.plan.shards).toBe(2);
    expect(after.pids.redis).toEqual(before.pids.redis);
    expect(after.plan.why.join(' ')).toContain('never re-sharded');
    await run.stop();
  });

  test('a disk above the mark refuses new answers, and says so', { timeout: 30_000 }, async () => {
    const session = newSession();
    const first = session.start({ settings: { fullAbove: 0, notFullBelow: 0 } });
    const full = await first.until((status) => condition(status, 'Degraded').reason === 'Full', 'the alarm');
    expect(condition(full, 'Degraded').message).toContain('free or add disk space');
    const { url } = await first.phase('Active');
    const ada = await session.student('ada', url!);
    await ada.open();
    const seq = await ada.submit({ text: 'kept by the client' });
    await until(() => first.status!.events.durable === 0 && first.status!.students.connected === 1, {
      what: 'the student',
    });
    await first.stop();
    // With room again the client's answer arrives, though nobody typed it again.
    const second = session.start();
    await second.phase('Active');
    await ada.settled(seq);
    await second.stop();
  });
});

describe('deadlines', () => {
  test("seal by themselves, but not before the last student's extra time is over", { timeout: 40_000 }, async () => {
    const session = newSession('');
    const closesAt = Date.now() + 4_000;
    session.set('closesAt', new Date(closesAt).toISOString());
    session.set('autoFinalize', true);
    session.set('roster', { file: 'extra.csv' });
    writeFileSync(session.file.replace('session.yaml', 'extra.csv'), 'student,extra minutes\nada,1\nbob,0\n');
    const run = session.start({ settings: { verifiedLingerSeconds: 1 } });
    const { url } = await run.phase('Active');
    const [ada, bob] = [await session.student('ada', url!), await session.student('bob', url!)];
    await Promise.all([ada.open(), bob.open()]);
    expect(ada.state.deadline).toBe(closesAt + 60_000);
    expect(bob.state.deadline).toBe(closesAt);
    await bob.settled(await bob.submit('in time'));
    await until(() => Date.now() > closesAt + 1_500, { what: 'the deadline and its grace', timeoutMs: 10_000 });
    await expect(bob.submit('too late').then((seq) => bob.settled(seq))).rejects.toMatchObject({ code: 'late' });
    await ada.settled(await ada.submit('in my own time'));
    expect(run.status).toMatchObject({ phase: 'Active', sealing: null });
    // The minute is not waited for: the extra time is taken back, and what is left is nobody's.
    writeFileSync(session.folder.roster('extra.csv'), 'ada,0\n');
    const completed = await run.phase('Completed', 25_000);
    expect(completed.events).toMatchObject({ durable: 2, exported: 2 });
    await run.program.ended(15_000);
  });
});

describe('after the seal', () => {
  test("a gateway still tells a student what is saved, and the sink's failure is tried again", {
    timeout: 40_000,
  }, async () => {
    const session = newSession();
    const first = session.start();
    const { url } = await first.phase('Active');
    const outbox = memoryOutbox();
    const ada = await session.student('ada', url!, { outbox });
    await ada.open();
    await ada.settled(await ada.submit('saved'));
    await ada.close();
    await first.stop();
    // An exporter that cannot be started: every attempt fails, and the queue stays.
    const { gateway } = programs;
    const second = session.start({ programs: { gateway, exporter: [`${session.file}.no-such-program`] } });
    await second.phase('Active');
    await session.edit(['spec', 'phase'], 'Finalizing');
    const failed = await second.until((status) => (status.export?.attempt ?? 0) >= 2, 'the second attempt', 25_000);
    expect(failed.phase).toBe('Exporting');
    const answering = await second.until(({ pids }) => pids.gateway.length === 1, 'the one that answers');
    const again = await session.student('ada', answering.url!, { outbox });
    const opened = await again.open();
    expect(opened).toMatchObject({ durableSeq: 1 });
    await second.kill();
    // Mended: a new attempt, from the same sealed queue.
    const third = session.start({ settings: { verifiedLingerSeconds: 1 } });
    const completed = await third.phase('Completed', 25_000);
    expect(completed.export!.attempt).toBeGreaterThan(failed.export!.attempt);
    expect(completed.events.exported).toBe(1);
    await third.program.ended(15_000);
  });
});

/** Nobody else may look into the folder, and no password or key stands in anything but the files for it. */
function secretsStaySecret({ folder }: Session): void {
  const files = readdirSync(folder.root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const pathOf = (entry: (typeof files)[number]) => `${entry.parentPath}/${entry.name}`;
  const keys = files.filter((entry) => entry.parentPath === folder.keys.dir);
  for (const path of [folder.root, folder.keys.dir, ...keys.map(pathOf)]) {
    expect(statSync(path).mode & 0o077, `others may use ${path}`).toBe(0);
  }
  const secrets = keys
    .filter(({ name }) => name !== 'receipt.pub.pem')
    .map((entry) => readFileSync(pathOf(entry), 'utf8'));
  expect(secrets).toHaveLength(5);
  for (const entry of files) {
    if (keys.includes(entry)) continue;
    const text = readFileSync(pathOf(entry), 'latin1');
    for (const secret of secrets) expect(text.includes(secret.trim()), `a secret in ${pathOf(entry)}`).toBe(false);
  }
}
