import { expect, test } from 'vitest';
import { append } from '#queue/append.ts';
import { finish } from '#queue/finish.ts';
import { seal } from '#queue/seal.ts';
import { readWriter, scanFinished } from '#queue/writerstate.ts';
import { collect } from './collect.ts';
import { startShard } from './testshard.ts';
import { batchOf, share, testWriter } from './testwriter.ts';

test('only exactly what is durable can be finished, and a repeat gets the same answer, also after the seal', async () => {
  const { shard, identity } = await startShard();
  const ann = testWriter(identity.uid, 'ann', 'writer-1');
  await append(shard, batchOf(share(ann, 3)));
  const durable = ann.state;
  const fork = { ...durable, chain: 'f'.repeat(64) };
  const further = { ...durable, seq: 4 };
  for (const claimed of [fork, further, { ...durable, seq: 2 }]) {
    expect(await finish(shard, 'ann', 'writer-1', claimed)).toEqual({ kind: 'behind', state: durable });
  }
  expect(await finish(shard, 'ann', 'writer-2', { ...durable, seq: 1 })).toEqual({ kind: 'behind', state: null });

  const first = await finish(shard, 'ann', 'writer-1', durable);
  expect(first).toMatchObject({ kind: 'ok', at: expect.closeTo(Date.now(), -4) });
  expect(await finish(shard, 'ann', 'writer-1', durable)).toEqual(first);
  const at = first.kind === 'ok' ? first.at : 0;
  const stored = { writer: 'writer-1', state: durable, at };
  expect(await finish(shard, 'ann', 'writer-1', further)).toEqual({ kind: 'finished', ...stored });
  expect((await readWriter(shard, 'ann', 'writer-1')).finished).toEqual(stored);
  expect(await collect(scanFinished(shard))).toEqual([{ student: 'ann', ...stored }]);

  await seal(shard);
  expect(await finish(shard, 'ann', 'writer-1', durable)).toEqual(first);
  expect(await finish(shard, 'bob', 'writer-1', testWriter(identity.uid, 'bob', 'writer-1').state)).toEqual({
    kind: 'sealed',
  });
});

test('an empty paper can be finished, but not by a writer that has events', async () => {
  const { shard, identity } = await startShard();
  const [ann, bob] = [testWriter(identity.uid, 'ann', 'writer-1'), testWriter(identity.uid, 'bob', 'writer-1')];
  const origin = bob.state;
  await append(shard, batchOf(share(bob)));
  expect((await finish(shard, 'ann', 'writer-1', ann.state)).kind).toBe('ok');
  expect(await finish(shard, 'bob', 'writer-1', origin)).toEqual({ kind: 'behind', state: bob.state });
  expect(await append(shard, batchOf(share(ann)))).toMatchObject({ offenders: [{ kind: 'finished' }] });
});

test('finishing ends the student, not only the writer, and no other student', async () => {
  const { shard, identity } = await startShard();
  const of = (student: string, writer: string) => testWriter(identity.uid, student, writer);
  const [phone, laptop] = [of('ann', 'phone-01'), of('ann', 'laptop-1')];
  await append(shard, batchOf(share(phone), share(laptop)));
  await finish(shard, 'ann', 'phone-01', phone.state);
  const reply = await append(shard, batchOf(share(laptop), share(of('ann2', 'laptop-1'))));
  expect(reply).toMatchObject({ kind: 'refused', offenders: [{ index: 0, kind: 'finished' }] });
});
