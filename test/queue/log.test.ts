import { expect, test } from 'vitest';
import { append } from '#queue/append.ts';
import { readLog } from '#queue/log.ts';
import { seal } from '#queue/seal.ts';
import { collect } from './collect.ts';
import { startShard } from './testshard.ts';
import { batchOf, share, testWriter } from './testwriter.ts';

test('what was appended is read back in order, up to the seal', async () => {
  const { shard, identity } = await startShard();
  const [ann, bob] = [testWriter(identity.uid, 'ann', 'writer-a'), testWriter(identity.uid, 'bob', 'writer-b')];
  const shares = [share(ann, 2), share(bob, 3), share(ann, 1)];
  const first = await append(shard, batchOf(shares[0]!, shares[1]!));
  const second = await append(shard, batchOf(shares[2]!));
  expect([first.kind, second.kind]).toEqual(['ok', 'ok']);
  const sealed = await seal(shard);
  expect(sealed.events).toBe(6);
  expect(await seal(shard)).toEqual(sealed);

  const entries = await collect(readLog(shard, { untilSeal: true }));
  expect(entries.map(({ id }) => ({ kind: 'ok', entryId: id }))).toEqual([first, second]);
  expect(entries.flatMap(({ events }) => events)).toEqual(shares.flatMap(({ events }) => events));
});
