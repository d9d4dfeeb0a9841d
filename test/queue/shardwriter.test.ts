import { expect, test } from 'vitest';
import type { Shard } from '#queue/connect.ts';
import { finish } from '#queue/finish.ts';
import { keys } from '#queue/keys.ts';
import { limits } from '#queue/limits.ts';
import { readLog } from '#queue/log.ts';
import { seal } from '#queue/seal.ts';
import { setDeadlines, writeSession } from '#queue/session.ts';
import { createShardWriter, type ShardWriter, type ShardWriterOptions } from '#queue/shardwriter.ts';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { startProxy } from '#test/support/proxy.ts';
import { until } from '#test/support/until.ts';
import { collect } from './collect.ts';
import { type TestLane, testLane } from './testlane.ts';
import { startShard, type TestShard } from './testshard.ts';

function writerOn(shard: Shard, options: Partial<ShardWriterOptions> = {}): ShardWriter {
  const writer = createShardWriter({ shard, maxRetryMs: 20, ...options });
  onScopeEnd(() => writer.close());
  return writer;
}

/** A shard, and one process that appends to it, perhaps through a proxy. */
async function start(options: Partial<ShardWriterOptions> = {}) {
  const started = await startShard();
  const writer = writerOn(started.shard, options);
  const { uid } = started.identity;
  return { ...started, uid, writer, lane: (student: string) => testLane(writer, student, { uid }) };
}

/** A further process with its own connection. */
async function another({ connect }: TestShard, options: Partial<ShardWriterOptions> = {}): Promise<ShardWriter> {
  const shard = connect();
  await shard.ready(5_000);
  return writerOn(shard, options);
}

/** `student seq payload` of everything in the log, in its order. */
async function logged(shard: Shard): Promise<string[]> {
  const events = (await collect(readLog(shard))).flatMap((entry) => entry.events);
  return events.map(({ student, seq, late, payload }) => `${student} ${seq} ${payload}${late ? ' late' : ''}`);
}

function sent(...lanes: TestLane[]): string[] {
  return lanes.flatMap(({ lane, payloads }) => payloads.map((payload, i) => `${lane.student} ${i + 1} ${payload}`));
}

test('offers of many lanes in one turn are one batch, and durable in order', async () => {
  const { shard, writer, lane } = await start();
  const lanes = await Promise.all(Array.from({ length: 50 }, (_, i) => lane(`student-${i}`)));
  for (let round = 0; round < 20; round++) for (const one of lanes) expect(one.offer()).toBe('accepted');
  expect(lanes[0]!.lane).toMatchObject({ head: { seq: 20 }, durable: { seq: 0 } });
  await Promise.all(lanes.map((one) => one.settled()));
  expect(lanes[0]!.lane.durable).toEqual(lanes[0]!.lane.head);
  const stats = writer.stats();
  expect(stats).toMatchObject({ lanes: 50, pendingEvents: 0, pendingBytes: 0, durableEvents: 1_000, appends: 1 });
  expect(stats.ackMs.count).toBe(1_000);
  expect((await logged(shard)).filter((line) => line.startsWith('student-7 '))).toEqual(sent(lanes[7]!));
});

test('more than a batch can hold goes out in several, none above the caps', async () => {
  const { shard, writer, lane } = await start();
  const [ann, bob] = await Promise.all([lane('ann'), lane('bob')]);
  for (let i = 0; i < 150; i++) ann.offer('x'.repeat(16_000));
  bob.offer();
  await Promise.all([ann.settled(), bob.settled()]);
  expect(writer.stats().appends).toBeGreaterThanOrEqual(3);
  expect((await logged(shard)).sort()).toEqual(sent(ann, bob).sort());
});

test('case 14: a lost reply is found out to be a duplicate, acknowledged once and stored once', async () => {
  const started = await startShard();
  const proxy = await startProxy(started.redis);
  const shard = started.connect({ endpoint: { host: proxy.host, port: proxy.port } });
  await shard.ready(5_000);
  const writer = writerOn(shard);
  const ann = await testLane(writer, 'ann', started.identity);
  for (let round = 0; round < 5; round++) {
    const lost = proxy.swallowReplies();
    ann.offer();
    ann.offer();
    await lost;
    ann.offer();
    await ann.settled();
  }
  expect(writer.stats()).toMatchObject({ durableEvents: expect.any(Number), retries: expect.any(Number) });
  expect(writer.stats().retries).toBeGreaterThanOrEqual(5);
  expect(writer.stats().refusals).toBeGreaterThanOrEqual(5);
  expect(await logged(started.shard)).toEqual(sent(ann));
});

test('a request that never arrived is sent again', async () => {
  const started = await startShard();
  const proxy = await startProxy(started.redis);
  const shard = started.connect({ endpoint: { host: proxy.host, port: proxy.port } });
  await shard.ready(5_000);
  const ann = await testLane(writerOn(shard), 'ann', started.identity);
  proxy.cutAfter('up', 100);
  for (let i = 0; i < 100; i++) ann.offer();
  await ann.settled();
  expect(await logged(started.shard)).toEqual(sent(ann));
});

test('case 14: Redis is killed again and again under load; what was acknowledged is there, once and in order', async () => {
  const { redis, shard, lane } = await start();
  const lanes = await Promise.all(Array.from({ length: 20 }, (_, i) => lane(`student-${i}`)));
  let isLoading = true;
  const load = (async () => {
    while (isLoading) {
      for (const one of lanes) if (one.payloads.length - one.acked < 8) one.offer();
      await new Promise(setImmediate);
    }
  })();
  for (let kills = 0; kills < 5; kills++) {
    const before = lanes.reduce((sum, one) => sum + one.acked, 0);
    await until(() => lanes.reduce((sum, one) => sum + one.acked, 0) > before + 100, { what: 'progress' });
    await redis.restart();
  }
  isLoading = false;
  await load;
  await Promise.all(lanes.map((one) => one.settled()));
  expect((await logged(shard)).sort()).toEqual(sent(...lanes).sort());
});

test('an outbox that moves to another process and back is answered truly everywhere', async () => {
  const started = await start();
  const { uid, shard, writer } = started;
  const other = await another(started);
  const here = await started.lane('ann');
  here.offer();
  here.offer();
  await here.settled();
  const there = await testLane(other, 'ann', { uid, outbox: here.payloads });
  expect(there.lane.durable.seq).toBe(2);
  there.offer();
  there.offer();
  await there.settled();
  // The lane that stayed behind is told the truth to whoever comes back, though it is shared with the old connection.
  const back = await testLane(writer, 'ann', { uid, outbox: there.payloads });
  expect(back.lane).toBe(here.lane);
  expect(back.lane.durable).toEqual(there.lane.durable);
  expect(back.offer()).toBe('accepted');
  await back.settled();
  // The old connection sends what it thinks comes next: nobody here remembers, so the log is to be asked.
  expect(here.repeat(3, 'whatever')).toBe('unverified');
  expect(await logged(shard)).toEqual(sent(back));
});

test('case 4: two copies of one outbox: whose bytes are not stored learns that it is a fork', async () => {
  const started = await start();
  const { uid, shard } = started;
  const other = await another(started);
  const [one, copy] = [await started.lane('ann'), await testLane(other, 'ann', { uid })];
  one.offer('same');
  await one.settled();
  // It believes to be at 0 and sends the same event first: that is a repeat, and acknowledged.
  copy.offer('same');
  await copy.settled();
  one.offer('mine');
  await one.settled();
  copy.offer('yours');
  copy.offer('more of yours');
  expect(await copy.refused()).toBe('forked');
  expect(copy.refusals).toEqual([['forked', one.lane.durable]]);
  expect(copy.acked).toBe(1);
  expect(await logged(shard)).toEqual(sent(one));
});

test('a lane that another process is ahead of acknowledges nothing until it knows that it was the same', async () => {
  const started = await start();
  const { uid, shard } = started;
  const other = await another(started);
  const [slow, fork] = [await testLane(other, 'ann', { uid }), await testLane(other, 'bob', { uid })];
  const [ann, bob] = [await started.lane('ann'), await started.lane('bob')];
  for (const lane of [ann, bob]) for (let i = 1; i <= 4; i++) lane.offer(`answer ${i}`);
  await Promise.all([ann.settled(), bob.settled()]);

  for (const lane of [slow, fork]) for (let i = 1; i <= 2; i++) lane.offer(`answer ${i}`);
  await until(() => other.stats().refusals > 0 && other.stats().pendingEvents === 0, { what: 'the refusal' });
  expect([slow.acked, fork.acked]).toEqual([0, 0]);
  expect(slow.repeat(2)).toBe('repeat_pending');
  slow.offer('answer 3');
  fork.offer('another answer');
  expect(slow.offer('answer 4')).toBe('accepted');
  fork.offer('answer 4');
  // Never from within an offer.
  expect([slow.acked, fork.refusals]).toEqual([0, []]);
  await slow.settled();
  expect(await fork.refused()).toBe('forked');
  expect(fork.acked).toBe(0);
  expect(slow.offer('answer 5')).toBe('accepted');
  await slow.settled();
  expect(await logged(shard)).toEqual(
    [...sent(ann).slice(0, 4), ...sent(bob), ...sent(slow).slice(4)].sort(byTime(await logged(shard))),
  );
});

/** Both lanes were offered in one batch, so their lines may come in either order: the log's own. */
function byTime(log: readonly string[]): (a: string, b: string) => number {
  return (a, b) => log.indexOf(a) - log.indexOf(b);
}

test('a newcomer that is further than what still waits here supersedes it', async () => {
  const started = await startShard();
  const proxy = await startProxy(started.redis);
  const shard = started.connect({ endpoint: { host: proxy.host, port: proxy.port } });
  await shard.ready(5_000);
  const [writer, other] = [writerOn(shard), await another(started)];
  const { uid } = started.identity;
  const old = await testLane(writer, 'ann', { uid });
  const ahead = await testLane(other, 'ann', { uid });
  for (let i = 0; i < 3; i++) ahead.offer(`answer ${i}`);
  await ahead.settled();
  old.offer('answer 0');
  await until(() => writer.stats().refusals === 1, { what: 'the old lane to be behind' });
  const fresh = await testLane(writer, 'ann', { uid, outbox: ahead.payloads });
  expect(old.refusals).toEqual([['superseded', ahead.lane.durable]]);
  expect(old.acked).toBe(0);
  fresh.offer();
  await fresh.settled();
  expect(await logged(started.shard)).toEqual(sent(fresh));
});

test('repeats and gaps', async () => {
  const { lane, writer } = await start();
  const ann = await lane('ann');
  for (let i = 0; i < 400; i++) ann.offer();
  expect(ann.repeat(400)).toBe('repeat_pending');
  expect(ann.repeat(1)).toBe('repeat_pending');
  expect(ann.repeat(3, 'something else')).toBe('forked');
  expect(ann.repeat(402, 'too early')).toBe('gap');
  expect(ann.repeat(0, 'too low')).toBe('gap');
  await ann.settled();
  expect(ann.repeat(400)).toBe('repeat_durable');
  expect(ann.repeat(400 - limits.recentChains + 2)).toBe('repeat_durable');
  expect(ann.repeat(400, 'something else')).toBe('forked');
  expect(ann.repeat(1)).toBe('unverified');
  expect(writer.stats().durableEvents).toBe(400);
});

test('what is late is marked, or refused, as the session says, and only that', async () => {
  const { shard, lane } = await start();
  const [ann, bob] = await Promise.all([lane('ann'), lane('bob')]);
  await writeSession(shard, { late: 'Mark' });
  await setDeadlines(shard, new Map([['ann', Date.now() - 1_000]]));
  ann.offer('one');
  bob.offer('one');
  await Promise.all([ann.settled(), bob.settled()]);
  // An extension while the lane still marks its events.
  await setDeadlines(shard, new Map([['ann', Date.now() + 60_000]]));
  ann.offer('two');
  await ann.settled();
  await setDeadlines(shard, new Map([['ann', Date.now() - 1_000]]));
  await writeSession(shard, { late: 'Refuse' });
  ann.offer('three');
  bob.offer('two');
  expect(await ann.refused()).toBe('late');
  await bob.settled();
  expect(ann.lane.head).toEqual(ann.lane.durable);
  expect((await logged(shard)).sort()).toEqual(['ann 1 "one" late', 'ann 2 "two"', 'bob 1 "one"', 'bob 2 "two"']);
});

test('the finished and those with too many writers are refused, and hold nobody up', async () => {
  const { shard, writer, uid, lane } = await start();
  const [ann, bob] = await Promise.all([lane('ann'), lane('bob')]);
  ann.offer();
  await ann.settled();
  await finish(shard, 'ann', 'writer-1', ann.lane.durable);
  await shard.run((redis) => redis.hset(keys.students, 'cid', limits.writersPerStudent));
  const cid = await lane('cid');
  for (const one of [ann, bob, cid]) one.offer();
  await bob.settled();
  expect(ann.refusals).toEqual([['finished', ann.lane.durable]]);
  expect(cid.refusals).toEqual([['quota', { seq: 0, chain: cid.lane.head.chain }]]);
  expect(writer.stats().pendingEvents).toBe(0);
  const tiny = writerOn(shard, { limits: { maxSeq: 2 } });
  const dan = await testLane(tiny, 'dan', { uid });
  expect([dan.offer(), dan.offer(), dan.offer()]).toEqual(['accepted', 'accepted', 'quota']);
});

test('at the seal everything that waits is refused, and repeats are still told that they are durable', async () => {
  const { shard, lane, writer } = await start();
  const [ann, bob] = await Promise.all([lane('ann'), lane('bob')]);
  ann.offer();
  await ann.settled();
  const sealed = await seal(shard);
  ann.offer();
  bob.offer();
  expect(await ann.refused()).toBe('sealed');
  expect(await bob.refused()).toBe('sealed');
  expect(ann.refusals[0]![1]).toEqual(ann.lane.durable);
  expect(ann.repeat(1)).toBe('repeat_durable');
  expect(ann.repeat(2)).toBe('sealed');
  expect(writer.stats()).toMatchObject({ isSealed: true, pendingEvents: 0 });
  expect(await seal(shard)).toEqual(sealed);
});

test('a full shard pauses everybody, loses nothing, and goes on when there is room', async () => {
  const pressures: boolean[] = [];
  const { shard, lane, writer } = await start({ onPressure: (pressed) => void pressures.push(pressed) });
  const ann = await lane('ann');
  await writeSession(shard, { full: true });
  ann.offer();
  await until(() => writer.stats().isPressed, { what: 'pressure' });
  expect(ann.repeat(2, 'no room')).toBe('full');
  expect(ann.acked).toBe(0);
  await writeSession(shard, { full: false });
  await ann.settled();
  expect(ann.offer()).toBe('accepted');
  await ann.settled();
  expect(pressures).toEqual([true, false]);
});

test('case 11: nothing new is taken above the mark of memory, before Redis itself fails', async () => {
  const { shard, lane, writer } = await start();
  const ann = await lane('ann');
  const used = await shard.run(async (redis) => Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1]));
  await shard.run((redis) => redis.config('SET', 'maxmemory', Math.ceil(used / 0.9)));
  await until(() => writer.stats().isPressed, { what: 'pressure' });
  expect(ann.offer()).toBe('full');
  await shard.run((redis) => redis.config('SET', 'maxmemory', 100 * used));
  await until(() => !writer.stats().isPressed, { what: 'relief' });
  expect(ann.repeat(1)).toBe('accepted');
  await ann.settled();
});

test('case 11: a Redis that cannot write is tried again, shown, and nothing is acknowledged meanwhile', async () => {
  const { shard, lane, writer } = await start({ limits: { fullAt: 1_000 } });
  const ann = await lane('ann');
  await shard.run((redis) => redis.config('SET', 'maxmemory', 1));
  ann.offer();
  await until(() => shard.state.problem?.code === 'shard_busy', { what: 'the trouble to be shown' });
  expect(shard.state).toMatchObject({ phase: 'ready', problem: { message: expect.stringContaining('OOM') } });
  expect(ann.acked).toBe(0);
  await shard.run((redis) => redis.config('SET', 'maxmemory', 0));
  await ann.settled();
  expect(shard.state).toEqual({ phase: 'ready' });
  expect(writer.stats().retries).toBeGreaterThan(0);
});

test('case 5: an unknown script error stops the shard for this process, and is never repeated', async () => {
  const { shard, lane, writer } = await start();
  const [ann, bob] = await Promise.all([lane('ann'), lane('bob')]);
  await shard.run((redis) => redis.hset(keys.state, 'events', 'not a number'));
  ann.offer();
  expect(await ann.refused()).toBe('broken');
  expect(shard.state).toMatchObject({ phase: 'broken', problem: { code: 'shard_error' } });
  expect(bob.offer()).toBe('full');
  expect(writer.stats()).toMatchObject({ retries: 0, pendingEvents: 0 });
  await expect(lane('cid')).rejects.toMatchObject({ code: 'shard_not_ready' });
});

test('case 2: a shard that has less than was acknowledged is lost: nothing more is acknowledged', async () => {
  const { shard, lane } = await start();
  const [ann, bob] = await Promise.all([lane('ann'), lane('bob')]);
  ann.offer();
  await ann.settled();
  const state = await shard.run((redis) => redis.hgetall(keys.writers));
  await shard.run((redis) => redis.del(keys.writers));
  ann.offer();
  bob.offer();
  await until(() => shard.state.problem?.code === 'shard_lost', { what: 'the alarm' });
  expect([ann.acked, bob.acked]).toEqual([1, 0]);
  expect(shard.state.problem?.message).toContain('writer writer-1 stands at seq 0, but 1 was durable');
  // Mended: what waited goes on.
  await until(() => shard.run((redis) => redis.hset(keys.writers, state)).then(() => true), {
    what: 'a moment in which it is asked again',
  });
  await Promise.all([ann.settled(), bob.settled()]);
});

test('case 2: whoever opens where less is stored than was acknowledged here raises the alarm', async () => {
  const { shard, lane } = await start();
  const ann = await lane('ann');
  ann.offer();
  await ann.settled();
  await shard.run((redis) => redis.del(keys.writers));
  await expect(lane('ann')).rejects.toMatchObject({ code: 'shard_lost' });
  expect(shard.state.phase).toBe('lost');
});

test('memory is bounded: pressure above the mark, relief below half of it, and no more than twice as much', async () => {
  const pressures: boolean[] = [];
  const onPressure = (pressed: boolean) => void pressures.push(pressed);
  const { redis, lane, writer } = await start({ onPressure, limits: { pendingEvents: 100 } });
  const ann = await lane('ann');
  await redis.kill9();
  const answers = Array.from({ length: 250 }, () => ann.offer());
  expect(answers.lastIndexOf('accepted')).toBe(199);
  expect(answers.slice(200, 202)).toEqual(['full', 'gap']);
  expect(pressures).toEqual([true]);
  expect(writer.stats()).toMatchObject({ pendingEvents: 200, isPressed: true });
  await redis.restart();
  await until(() => ann.acked === 200, { what: 'all that was accepted', timeoutMs: 10_000 });
  expect(pressures).toEqual([true, false]);

  const bytes = writerOn((await startShard()).shard, { limits: { pendingBytes: 100_000 } });
  const bob = await testLane(bytes, 'bob', { uid: 'uid' });
  const large = Array.from({ length: 20 }, () => bob.offer('x'.repeat(16_000)));
  expect(large.indexOf('full')).toBe(13);
});

test('draining takes nothing more and waits for what waits; closing says nothing to anybody', async () => {
  const { redis, lane, writer } = await start();
  const ann = await lane('ann');
  for (let i = 0; i < 100; i++) ann.offer();
  const drained = writer.drain(5_000);
  expect(ann.offer()).toBe('full');
  expect(await drained).toBe(true);
  expect(ann.acked).toBe(100);
  expect(await writer.drain(1)).toBe(true);

  const other = await start();
  const bob = await other.lane('bob');
  await other.redis.kill9();
  bob.offer();
  expect(await other.writer.drain(50)).toBe(false);
  other.writer.close();
  await other.redis.restart();
  await other.shard.ready(5_000);
  expect([bob.acked, bob.refusals]).toEqual([0, []]);
  expect(await logged(other.shard)).toEqual([]);
  await redis.stop();
});

test('a lane is forgotten when nobody listens and nothing waits, not before', async () => {
  const { lane, writer } = await start();
  const [ann, bob] = [await lane('ann'), await lane('bob')];
  ann.detach();
  expect(writer.stats().lanes).toBe(1);
  bob.offer();
  bob.detach();
  expect(writer.stats().lanes).toBe(1);
  await until(() => writer.stats().lanes === 0, { what: 'the lane to be forgotten' });
  const again = await lane('bob');
  expect(again.lane.durable.seq).toBe(1);
  expect(() => bob.offer()).toThrow(/defect/);
});

test('a person who connects twice to one process shares the lane, and both hear', async () => {
  const { lane, uid, writer, shard } = await start();
  const first = await lane('ann');
  first.offer();
  const second = await testLane(writer, 'ann', { uid });
  expect(second.repeat(1, 'ann 1')).toMatch(/repeat_/);
  first.offer();
  await first.settled();
  await until(() => second.acked === 2, { what: 'the other to hear' });
  expect(await logged(shard)).toEqual(sent(first));
});
