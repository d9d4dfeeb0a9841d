import { zstdCompressSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { append } from '#queue/append.ts';
import type { Shard } from '#queue/connect.ts';
import { keys } from '#queue/keys.ts';
import { findEvent, type ReadLogOptions, readLog } from '#queue/log.ts';
import { seal } from '#queue/seal.ts';
import { collect } from './collect.ts';
import { startShard } from './testshard.ts';
import { batchOf, share, testWriter } from './testwriter.ts';

/** A shard whose log has `entries` batches of one event each. Gives their ids. */
async function startLog(entries: number) {
  const started = await startShard();
  const ann = testWriter(started.identity.uid, 'ann', 'writer-1');
  const ids: string[] = [];
  for (let i = 0; i < entries; i++) {
    const reply = await append(started.shard, batchOf(share(ann)));
    if (reply.kind === 'ok') ids.push(reply.entryId);
  }
  return { ...started, ids };
}

async function seqs(shard: Shard, options?: ReadLogOptions): Promise<number[]> {
  return (await collect(readLog(shard, options))).flatMap(({ events }) => events.map(({ seq }) => seq));
}

async function expectCorrupt(shard: Shard, message: RegExp) {
  await expect(collect(readLog(shard))).rejects.toMatchObject({
    code: 'log_corrupt',
    message: expect.stringMatching(message),
  });
}

test('what was appended is read back in order, up to the seal', async () => {
  const { shard, identity } = await startShard();
  const [ann, bob] = [testWriter(identity.uid, 'ann', 'writer-a'), testWriter(identity.uid, 'bob', 'writer-b')];
  const shares = [share(ann, 2), share(bob, 3), share(ann, 1)];
  const first = await append(shard, batchOf(shares[0]!, shares[1]!));
  const second = await append(shard, batchOf(shares[2]!));
  expect((await seal(shard)).events).toBe(6);

  const entries = await collect(readLog(shard, { untilSeal: true }));
  expect(entries.map(({ id }) => ({ kind: 'ok', entryId: id }))).toEqual([first, second]);
  expect(entries.flatMap(({ events }) => events)).toEqual(shares.flatMap(({ events }) => events));
  for (const { id, durableAt } of entries) expect(id).toMatch(new RegExp(`^${durableAt}-`));
});

test('a log is read in pages of any size, from anywhere', async () => {
  const { shard, ids } = await startLog(150);
  const all = ids.map((_, i) => i + 1);
  expect(await seqs(shard)).toEqual(all);
  expect(await seqs(shard, { pageBytes: 1 })).toEqual(all);
  expect(await seqs(shard, { after: ids[99]!, pageBytes: 1_000 })).toEqual(all.slice(100));
  expect(await seqs(shard, { after: ids[149]! })).toEqual([]);
  const { sealId } = await seal(shard);
  expect(await seqs(shard, { after: ids[148]!, untilSeal: true })).toEqual([150]);
  expect(await seqs(shard, { after: sealId, untilSeal: true })).toEqual([]);
});

test('compressed batches are read like others', async () => {
  const { shard, identity } = await startShard();
  const ann = testWriter(identity.uid, 'ann', 'writer-1');
  const batch = batchOf(share(ann, 5));
  await append(shard, batchOf(share(testWriter(identity.uid, 'bob', 'writer-1'))));
  const reply = await append(shard, { ...batch, codec: 'zstd', bytes: zstdCompressSync(batch.bytes) });
  expect(reply.kind).toBe('ok');
  await seal(shard);
  expect(await seqs(shard, { untilSeal: true })).toEqual([1, 1, 2, 3, 4, 5]);
  expect(await findEvent(shard, 'ann', 'writer-1', 4, { maxEntries: 10 })).toEqual(Buffer.from('{"answer":4}'));
});

test('a log that is not sealed is not the whole log', async () => {
  const { shard } = await startLog(3);
  await expect(collect(readLog(shard, { untilSeal: true }))).rejects.toMatchObject({ code: 'log_not_sealed' });
  expect(await seqs(shard)).toEqual([1, 2, 3]);
});

test('reading while others append ends, and misses nothing of what was there', async () => {
  const { shard, identity, connect } = await startShard();
  const ann = testWriter(identity.uid, 'ann', 'writer-1');
  const writing = connect();
  await writing.ready(5_000);
  for (let i = 0; i < 30; i++) await append(writing, batchOf(share(ann)));
  const read: number[] = [];
  for await (const { events } of readLog(shard, { pageBytes: 1 })) {
    read.push(...events.map(({ seq }) => seq));
    await append(writing, batchOf(share(ann)));
  }
  expect(read).toEqual(Array.from({ length: 30 }, (_, i) => i + 1));
  expect(await seqs(shard)).toHaveLength(60);
});

test('a hole, a foreign entry, a lost end and a lost seal are found', async () => {
  const hole = await startLog(5);
  await hole.shard.run((redis) => redis.xdel(keys.events, hole.ids[2]!));
  await expectCorrupt(hole.shard, /comes after 4 events, not 5/);
  await seal(hole.shard);
  await expectCorrupt(hole.shard, /comes after 4 events, not 5/);

  const end = await startLog(3);
  await end.shard.run((redis) => redis.xdel(keys.events, end.ids[2]!));
  await expectCorrupt(end.shard, /is the last one, but \S+ was written/);

  const sealLost = await startLog(3);
  const { sealId } = await seal(sealLost.shard);
  await sealLost.shard.run((redis) => redis.xdel(keys.events, sealId));
  await expectCorrupt(sealLost.shard, /is the last one, but/);

  // A copy of an entry: its own digest and count are right, the running ones are not.
  const foreign = await startLog(3);
  await foreign.shard.run(async (redis) => {
    const [[, fields]] = (await redis.xrangeBuffer(keys.events, '-', '+', 'COUNT', 1)) as [[Buffer, Buffer[]]];
    await redis.xadd(keys.events, '*', ...fields);
  });
  expect(await seqs(foreign.shard)).toEqual([1, 2, 3]);
  await seal(foreign.shard);
  await expectCorrupt(foreign.shard, /comes after 4 events, not 3/);
});

test('what follows a seal, and an entry that is not as it was written, is found', async () => {
  const { shard } = await startLog(2);
  await seal(shard);
  await shard.run((redis) => redis.xadd(keys.events, '*', 'b', '', 'c', 'raw', 'n', '0', 'd', ''));
  await expectCorrupt(shard, /follows the seal/);

  for (const [fields, message] of [
    [['b', 'x', 'c', 'raw', 'n', '1', 'd', 'wrong'], /does not have its digest/],
    [['b', 'x', 'c', 'gzip', 'n', '1', 'd', 'wrong'], /has the unknown codec "gzip"/],
    [['b', 'x', 'c', 'zstd', 'n', '1', 'd', 'wrong'], /cannot be decompressed/],
    [['c', 'raw', 'n', '1', 'd', 'wrong'], /holds no batch/],
    [['b', Buffer.from(zstdCompressSync(Buffer.alloc(2_000_000))), 'c', 'zstd', 'n', '1', 'd', ''], /decompressed/],
  ] as const) {
    const bad = await startShard();
    await bad.shard.run((redis) => redis.xadd(keys.events, '*', ...fields));
    await expectCorrupt(bad.shard, message);
  }
});
