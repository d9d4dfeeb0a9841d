import { expect, test } from 'vitest';
import { append } from '#queue/append.ts';
import { compareEvents, findEvent } from '#queue/log.ts';
import { startShard } from './testshard.ts';
import { batchOf, share, testWriter } from './testwriter.ts';

test('a run of events is compared with the newest entries of the log', async () => {
  const { shard, identity } = await startShard();
  const ann = testWriter(identity.uid, 'ann', 'writer-a');
  const bob = testWriter(identity.uid, 'bob', 'writer-b');
  const payloads: Buffer[] = [];
  for (let batch = 0; batch < 20; batch++) {
    const shares = [share(ann, 2), share(bob, 1)];
    payloads.push(...shares[0]!.events.map((event) => event.payload));
    await append(shard, batchOf(...shares));
  }
  const compare = (firstSeq: number, run: Buffer[], maxEntries = 100) =>
    compareEvents(shard, 'ann', 'writer-a', firstSeq, run, { maxEntries });

  expect(await compare(1, payloads)).toBe('same');
  expect(await compare(40, payloads.slice(39))).toBe('same');
  expect(await compare(17, payloads.slice(16, 20))).toBe('same');
  expect(await compare(17, [payloads[16]!, Buffer.from('0')])).toBe('other');
  expect(await compare(40, [payloads[39]!, payloads[0]!])).toBe('unknown');
  expect(await compare(1, payloads.slice(0, 2), 19)).toBe('unknown');
  expect(await compareEvents(shard, 'eva', 'writer-a', 1, payloads, { maxEntries: 100 })).toBe('unknown');
  expect(await findEvent(shard, 'ann', 'writer-a', 3, { maxEntries: 100 })).toEqual(payloads[2]);
  expect(await findEvent(shard, 'ann', 'writer-a', 41, { maxEntries: 100 })).toBeNull();
});
