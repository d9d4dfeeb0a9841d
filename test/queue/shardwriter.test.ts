import { expect, test } from 'vitest';
import { readLog } from '#queue/log.ts';
import { createShardWriter } from '#queue/shardwriter.ts';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { until } from '#test/support/until.ts';
import { collect } from './collect.ts';
import { startShard } from './testshard.ts';

test('offers of many lanes become durable, each in its order, in few batches', async () => {
  const { shard } = await startShard();
  const writer = createShardWriter({ shard });
  onScopeEnd(() => writer.close());
  const durable = new Map<string, number>();
  const students = Array.from({ length: 50 }, (_, i) => `student-${i}`);
  const lanes = await Promise.all(
    students.map((student) =>
      writer.attach(student, 'writer-1', {
        durable: (seq) => void durable.set(student, seq),
        refused: (kind) => expect.unreachable(kind),
      }),
    ),
  );
  for (let seq = 1; seq <= 20; seq++) {
    for (const lane of lanes) expect(writer.offer(lane, seq, Buffer.from(`"${seq}"`), Date.now())).toBe('accepted');
  }
  await until(() => students.every((student) => durable.get(student) === 20), { what: 'all to be durable' });
  expect(writer.stats()).toMatchObject({ pendingEvents: 0, pendingBytes: 0, durableEvents: 1000, appends: 1 });
  const events = (await collect(readLog(shard))).flatMap((entry) => entry.events);
  expect(events.filter(({ student }) => student === 'student-7').map(({ seq }) => seq)).toEqual(
    Array.from({ length: 20 }, (_, i) => i + 1),
  );
});
