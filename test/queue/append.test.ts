import { expect, test } from 'vitest';
import { type AppendBatch, append, rawBatch } from '#queue/append.ts';
import { formatState } from '#queue/chain.ts';
import { packEvents } from '#queue/codec.ts';
import type { Shard } from '#queue/connect.ts';
import { finish } from '#queue/finish.ts';
import { keys } from '#queue/keys.ts';
import { limits } from '#queue/limits.ts';
import { readLog } from '#queue/log.ts';
import { seal } from '#queue/seal.ts';
import { setDeadlines, writeSession } from '#queue/session.ts';
import { readWitness } from '#queue/witness.ts';
import { readWriter } from '#queue/writerstate.ts';
import { collect } from './collect.ts';
import { startShard } from './testshard.ts';
import { batchOf, type Share, share, testWriter } from './testwriter.ts';

/** Everything that an append may write. */
function contents(shard: Shard) {
  return shard.run(async (redis) => ({
    writers: await redis.hgetall(keys.writers),
    students: await redis.hgetall(keys.students),
    state: await redis.hgetall(keys.state),
    events: await redis.xlen(keys.events),
  }));
}

/** Appends what must be refused, and checks that nothing at all was written. */
async function refused(shard: Shard, batch: AppendBatch) {
  const before = await contents(shard);
  const reply = await append(shard, batch);
  expect(await contents(shard)).toEqual(before);
  return reply;
}

const offence = (index: number, kind: string, state: string) => ({ index, kind, state });

test('a batch is stored, with its writers, sums and running digest', async () => {
  const { shard, identity } = await startShard();
  const [ann, bob] = [testWriter(identity.uid, 'änn:1', 'writer-a'), testWriter(identity.uid, 'bob', 'writer-b')];
  const [first, second] = [batchOf(share(ann, 3), share(bob, 1)), batchOf(share(bob, 2))];
  const replies = [await append(shard, first), await append(shard, second)];
  expect(replies.map(({ kind }) => kind)).toEqual(['ok', 'ok']);
  expect((await readWriter(shard, 'änn:1', 'writer-a')).state).toEqual(ann.state);
  expect((await readWriter(shard, 'bob', 'writer-b')).state).toEqual(bob.state);
  expect(await contents(shard)).toMatchObject({
    writers: { 'writer-a:änn:1': formatState(ann.state), 'writer-b:bob': formatState(bob.state) },
    students: { 'änn:1': '1', bob: '1' },
    state: { events: '6', entries: '2', bytes: String(first.bytes.length + second.bytes.length) },
    events: 2,
  });
  const last = replies[1]!;
  expect((await readWitness(shard)).lastId).toBe(last.kind === 'ok' ? last.entryId : '');
});

test('a repeat after a lost reply is named as ahead, at the very state that it ends with', async () => {
  const { shard, identity } = await startShard();
  const ann = testWriter(identity.uid, 'ann', 'writer-a');
  const batch = batchOf(share(ann, 2));
  await append(shard, batch);
  expect(await refused(shard, batch)).toEqual({
    kind: 'refused',
    offenders: [offence(0, 'ahead', formatState(ann.state))],
  });
});

test('case 8: every offender of a batch is named at once, each with its kind and durable state', async () => {
  const { shard, identity } = await startShard();
  const writers = ['ann', 'bob', 'cid', 'dan', 'eve', 'fay'].map((name) => testWriter(identity.uid, name, 'writer-1'));
  const [ann, bob, cid, dan, eve, fay] = writers as [(typeof writers)[0], ...typeof writers] & typeof writers;
  await append(shard, batchOf(share(ann, 2), share(bob!, 2), share(cid!, 2), share(eve!, 1)));
  const annStart = { seq: 0, chain: '0'.repeat(64) };
  const bobForked = { ...bob!.state, chain: 'f'.repeat(64) };
  const cidFurther = { ...cid!.state, seq: 5 };
  await finish(shard, 'eve', 'writer-1', eve!.state);
  await finish(shard, 'fay', 'writer-1', fay!.state);
  const at = (one: (typeof writers)[0], before: typeof annStart): Share => {
    one.rewind(before);
    return share(one, 1);
  };
  const durable = writers.map((one) => formatState(one.state));
  const batch = batchOf(
    at(ann, annStart),
    at(bob!, bobForked),
    at(cid!, cidFurther),
    share(dan!, 1),
    share(eve!, 1),
    share(fay!, 1),
  );
  expect(await refused(shard, batch)).toEqual({
    kind: 'refused',
    offenders: [
      offence(0, 'ahead', durable[0]!),
      offence(1, 'forked', durable[1]!),
      offence(2, 'behind', durable[2]!),
      offence(4, 'finished', durable[4]!),
      offence(5, 'finished', '0:'),
    ],
  });
});

test('a thousand offenders in one batch are named one and all', async () => {
  const { shard, identity } = await startShard();
  const writers = Array.from({ length: limits.batchWriters }, (_, i) => testWriter(identity.uid, `s${i}`, 'writer-1'));
  const batch = batchOf(...writers.map((writer) => share(writer)));
  expect((await append(shard, batch)).kind).toBe('ok');
  const reply = await refused(shard, batch);
  expect(reply.kind === 'refused' && reply.offenders.map(({ index, kind }) => `${index} ${kind}`)).toEqual(
    writers.map((_, i) => `${i} ahead`),
  );
});

test('behind without anything stored, and a new writer beyond the quota of its student', async () => {
  const { shard, identity } = await startShard();
  const writerOf = (i: number) => testWriter(identity.uid, 'ann', `writer-${i}`);
  const all = Array.from({ length: limits.writersPerStudent }, (_, i) => share(writerOf(i)));
  expect((await append(shard, batchOf(...all.slice(1)))).kind).toBe('ok');

  const lost = testWriter(identity.uid, 'bob', 'writer-1');
  lost.next();
  expect(await refused(shard, batchOf(share(lost)))).toMatchObject({ offenders: [offence(0, 'behind', '0:')] });
  // One more fits, a second one in the same batch does not.
  const [one, other] = [all[0]!, share(writerOf(99))];
  expect(await refused(shard, batchOf(one, other))).toMatchObject({ offenders: [offence(1, 'quota', '0:')] });
  expect((await append(shard, batchOf(one))).kind).toBe('ok');
  // Writers that are known go on.
  expect((await append(shard, batchOf(share(all[5]!.writer)))).kind).toBe('ok');
});

test('lateness is judged by the clock of Redis, with grace, own deadlines, and the policy of the session', async () => {
  const { shard, identity } = await startShard();
  const [ann, bob, cid] = ['ann', 'bob', 'cid'].map((name) => testWriter(identity.uid, name, 'writer-1'));
  const past = Date.now() - 10_000;
  await writeSession(shard, { closesAt: past, graceMs: 9_000, late: 'Refuse' });
  await setDeadlines(
    shard,
    new Map<string, number | null>([
      ['bob', past + 60_000],
      ['cid', past - 60_000],
    ]),
  );
  const early = share(bob!);
  expect(await refused(shard, batchOf(share(ann!), early, share(cid!)))).toMatchObject({
    offenders: [offence(0, 'late', '0:'), offence(2, 'late', '0:')],
  });
  expect((await append(shard, batchOf(early))).kind).toBe('ok');
  // Marked, but in time; and marked where late events are refused.
  expect(await refused(shard, batchOf(share(bob!, 1, true), share(ann!, 1, true)))).toMatchObject({
    offenders: [{ kind: 'ontime' }, { kind: 'behind' }],
  });

  await writeSession(shard, { late: 'Mark' });
  ann!.rewind({ seq: 0, chain: '0'.repeat(64) });
  expect(await refused(shard, batchOf(share(ann!, 1, false)))).toMatchObject({ offenders: [{ kind: 'late' }] });
  ann!.rewind({ seq: 0, chain: '0'.repeat(64) });
  expect((await append(shard, batchOf(share(ann!, 2, true)))).kind).toBe('ok');
  const events = (await collect(readLog(shard))).flatMap((entry) => entry.events);
  expect(events.map(({ student, late }) => `${student} ${late}`)).toEqual(['bob false', 'ann true', 'ann true']);

  // Grace ends in this moment: within it, everything goes; a deadline that was taken away no longer counts.
  await writeSession(shard, { closesAt: Date.now(), graceMs: 60_000 });
  await setDeadlines(shard, new Map([['cid', null]]));
  cid!.rewind({ seq: 0, chain: '0'.repeat(64) });
  expect((await append(shard, batchOf(share(cid!)))).kind).toBe('ok');
});

test('a deadline passes between two appends', async () => {
  const { shard, identity } = await startShard();
  const ann = testWriter(identity.uid, 'ann', 'writer-1');
  await writeSession(shard, { closesAt: Date.now() + 300, graceMs: 0 });
  const replies: string[] = [];
  for (const end = Date.now() + 5_000; Date.now() < end && !replies.includes('late'); ) {
    const reply = await append(shard, batchOf(share(ann)));
    replies.push(reply.kind === 'refused' ? reply.offenders[0]!.kind : reply.kind);
  }
  expect(new Set(replies)).toEqual(new Set(['ok', 'late']));
  expect(replies.at(-1)).toBe('late');
});

test('full refuses new batches, and still tells repeats that they are durable', async () => {
  const { shard, identity } = await startShard();
  const ann = testWriter(identity.uid, 'ann', 'writer-1');
  const batch = batchOf(share(ann));
  await append(shard, batch);
  await writeSession(shard, { full: true });
  expect(await refused(shard, batchOf(share(ann)))).toEqual({ kind: 'full' });
  expect(await refused(shard, batch)).toMatchObject({ kind: 'refused', offenders: [{ kind: 'ahead' }] });
});

test('a sealed shard takes nothing, and still tells repeats that they are durable', async () => {
  const { shard, identity } = await startShard();
  const [ann, bob] = [testWriter(identity.uid, 'ann', 'writer-1'), testWriter(identity.uid, 'bob', 'writer-1')];
  const durable = share(ann);
  await append(shard, batchOf(durable));
  await seal(shard);
  expect(await refused(shard, batchOf(durable))).toMatchObject({ kind: 'refused', offenders: [{ kind: 'ahead' }] });
  expect(await refused(shard, batchOf(durable, share(bob)))).toEqual({ kind: 'sealed' });
  expect(await refused(shard, batchOf(share(ann)))).toEqual({ kind: 'sealed' });
});

test('case 5: a batch above a cap, or one that contradicts itself, is an error and writes nothing', async () => {
  const { shard, identity } = await startShard();
  const many = (count: number) =>
    Array.from({ length: count }, (_, i) => share(testWriter(identity.uid, `s${i}`, 'writer-1')));
  const one = share(testWriter(identity.uid, 'ann', 'writer-1'), 3);
  const good = batchOf(one);
  const bad: [AppendBatch, RegExp][] = [
    [batchOf(...many(limits.batchWriters + 1)), /LIMIT a batch of \d+ bytes, 1001 writers, 1001 events/],
    [{ ...good, bytes: Buffer.alloc(limits.batchBytes + 1) }, /LIMIT/],
    [{ ...good, count: limits.batchEvents + 1 }, /LIMIT/],
    [{ ...good, count: 2 }, /BATCH has 2 events, its states say 3/],
    [rawBatch(good.bytes, 6, [...good.writers, ...good.writers]), /BATCH names a writer twice/],
    [rawBatch(good.bytes, 3, good.writers.slice(1)), /BATCH is not described/],
    [rawBatch(good.bytes, 3, []), /BATCH is not described/],
    [{ ...good, digest: 'short' }, /BATCH is not described/],
    [{ ...good, codec: 'seal' as 'raw' }, /BATCH is not described/],
    [
      rawBatch(packEvents([]), 0, ['ann', 'writer-1', `1:${'0'.repeat(64)}`, `1:${'1'.repeat(64)}`, '0']),
      /BATCH has a/,
    ],
    [rawBatch(good.bytes, 3, ['ann', 'writer-1', 'nothing', `3:${'1'.repeat(64)}`, '0']), /arithmetic on a nil/],
  ];
  const before = await contents(shard);
  for (const [batch, message] of bad) {
    await expect(append(shard, batch)).rejects.toMatchObject({
      code: 'shard_error',
      message: expect.stringMatching(message),
    });
  }
  expect(await contents(shard)).toEqual(before);
  expect(shard.state.phase).toBe('ready');
});

test('case 5: the greatest batch, a thousand writers, is appended once and whole', async () => {
  const { shard, identity } = await startShard();
  const shares = Array.from({ length: limits.batchWriters }, (_, i) =>
    share(testWriter(identity.uid, `${'s'.repeat(120)}-${i}`, 'w'.repeat(64)), 2),
  );
  expect((await append(shard, batchOf(...shares))).kind).toBe('ok');
  expect((await collect(readLog(shard))).flatMap(({ events }) => events)).toHaveLength(2 * limits.batchWriters);
  expect((await contents(shard)).students).toEqual(
    Object.fromEntries(shares.map(({ writer }) => [writer.student, '1'])),
  );
});

test('case 13: sums beyond what Lua prints exactly stay exact', async () => {
  const { shard, identity } = await startShard();
  const ann = testWriter(identity.uid, 'ann', 'writer-1');
  await append(shard, batchOf(share(ann)));
  await shard.run((redis) => redis.hset(keys.state, { events: '123456789012345', bytes: '999999999999999' }));
  const batch = batchOf(share(ann, 2));
  await append(shard, batch);
  expect((await contents(shard)).state).toMatchObject({
    events: '123456789012347',
    bytes: String(999_999_999_999_999 + batch.bytes.length),
  });
});

test('case 10: a payload that looks like other events in a batch stays one payload of its own student', async () => {
  const { shard, identity } = await startShard();
  const forged = packEvents([
    { student: 'bob', writer: 'writer-1', seq: 1, receivedAt: 1, late: false, payload: Buffer.from('"forged"') },
  ]);
  const ann = testWriter(identity.uid, 'ann', 'writer-1');
  const before = ann.state;
  const event = ann.next(JSON.stringify(`${forged.toString('latin1')}\r\n$3\r\nbob\r\n writer-1:bob`));
  const shareOfAnn = { writer: ann, before, after: ann.state, events: [event], late: false };
  await append(shard, batchOf(shareOfAnn, share(testWriter(identity.uid, 'c a:t\u2028"\\', 'writer-2'))));
  const events = (await collect(readLog(shard))).flatMap((entry) => entry.events);
  expect(events.map(({ student }) => student)).toEqual(['ann', 'c a:t\u2028"\\']);
  expect(events[0]).toEqual(event);
});
