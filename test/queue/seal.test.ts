import { expect, test } from 'vitest';
import { append } from '#queue/append.ts';
import { emptyDigest, keys } from '#queue/keys.ts';
import { readLog } from '#queue/log.ts';
import { seal } from '#queue/seal.ts';
import { touch } from '#queue/touch.ts';
import { readWitness } from '#queue/witness.ts';
import { collect } from './collect.ts';
import { startShard } from './testshard.ts';
import { batchOf, share, testWriter } from './testwriter.ts';

test('a seal is the last entry, and sealing again gives the same answer, also after a restart', async () => {
  const { shard, identity, redis } = await startShard();
  const ann = testWriter(identity.uid, 'ann', 'writer-1');
  await append(shard, batchOf(share(ann, 2)));
  const before = await readWitness(shard);
  expect(before).toMatchObject({ shard: 0, events: 2, sealed: null });
  const sealed = await seal(shard);
  expect(sealed).toMatchObject({ events: 2, digest: before.digest });
  expect(await readWitness(shard)).toEqual({
    ...before,
    lastId: sealed.sealId,
    sealed: sealed.sealedAt,
  });
  await redis.restart();
  await shard.ready(5_000);
  expect(await seal(shard)).toEqual(sealed);
  expect(await shard.run((client) => client.xlen(keys.events))).toBe(2);
  expect(await collect(readLog(shard, { untilSeal: true }))).toHaveLength(1);
});

test('an empty shard can be sealed and read', async () => {
  const { shard } = await startShard();
  expect(await readWitness(shard)).toEqual({ shard: 0, lastId: '', events: 0, digest: emptyDigest, sealed: null });
  expect(await seal(shard)).toMatchObject({ events: 0, digest: emptyDigest });
  expect(await collect(readLog(shard, { untilSeal: true }))).toEqual([]);
});

test('appends race with the seal: each is before it and counted, or refused', async () => {
  const { shard, identity, connect } = await startShard();
  const others = [connect(), connect()];
  await Promise.all(others.map((other) => other.ready(5_000)));
  let isSealing = false;
  const appended = others.map(async (other, i) => {
    const writer = testWriter(identity.uid, `student-${i}`, 'writer-1');
    for (let stored = 0; ; stored++) {
      const reply = await append(other, batchOf(share(writer)));
      if (reply.kind === 'sealed') return stored;
      expect(reply.kind).toBe('ok');
      if (stored > 20) isSealing = true;
    }
  });
  const sealer = (async () => {
    while (!isSealing) await touch(shard);
    return seal(shard);
  })();
  const [sealed, ...counts] = await Promise.all([sealer, ...appended]);
  expect(sealed.events).toBe(counts.reduce((sum, count) => sum + count, 0));
  const entries = await collect(readLog(shard, { untilSeal: true }));
  expect(entries.flatMap(({ events }) => events)).toHaveLength(sealed.events);
});
