import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type AppendBatch, append } from '#queue/append.ts';
import { finish } from '#queue/finish.ts';
import { seal } from '#queue/seal.ts';
import { setDeadlines, writeSession } from '#queue/session.ts';
import { createMemoryStore, type MemoryStore } from './memorystore.ts';
import { startShard, type TestShard } from './testshard.ts';
import { batchOf, type Share, share, type TestWriter, testWriter } from './testwriter.ts';

/** What a caller believes of a writer, and sends: from where, how many events, marked as late or not. */
const claim = fc.record({
  student: fc.nat({ max: 2 }),
  writer: fc.nat({ max: 1 }),
  belief: fc.constantFrom('true', 'true', 'true', 'older', 'newer', 'forked'),
  events: fc.integer({ min: 1, max: 3 }),
  late: fc.boolean(),
});

const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ act: fc.constant('append' as const), claims: fc.array(claim, { minLength: 1 }) }),
  },
  { weight: 1, arbitrary: fc.record({ act: fc.constant('repeat' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({ act: fc.constant('late' as const), student: fc.nat({ max: 2 }), is: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ act: fc.constant('policy' as const), marks: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constant('full' as const), is: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constant('finish' as const), student: fc.nat({ max: 2 }) }) },
);

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;
type Claim = typeof claim extends fc.Arbitrary<infer T> ? T : never;

let run = 0;

/** One history, played to Redis and to the model. Students are new in each run, so one Redis serves all. */
async function play({ shard, identity }: TestShard, steps: readonly Step[], sealsAtEnd: boolean): Promise<void> {
  run += 1;
  const model = createMemoryStore();
  const prefix = `run ${run} student `;
  const writers = [0, 1, 2].map((student) =>
    [0, 1].map((writer) => testWriter(identity.uid, prefix + student, `writer-${writer}`)),
  );
  let last: AppendBatch | null = null;
  await writeSession(shard, { late: 'Refuse', full: false });
  for (const one of steps) {
    if (one.act === 'append') last = batchOf(...one.claims.filter(isFirst).map((it) => shareOf(model, writers, it)));
    if (one.act === 'late') await setLate(shard, model, prefix + one.student, one.is);
    if (one.act === 'policy') {
      model.marksLate = one.marks;
      await writeSession(shard, { late: one.marks ? 'Mark' : 'Refuse' });
    }
    if (one.act === 'full') {
      model.isFull = one.is;
      await writeSession(shard, { full: one.is });
    }
    if (one.act === 'finish') await finishStudent(shard, model, prefix + one.student);
    if (last && (one.act === 'append' || one.act === 'repeat')) await compare(shard, model, last);
  }
  if (!sealsAtEnd || !last) return;
  await seal(shard);
  model.isSealed = true;
  await compare(shard, model, last);
}

function isFirst(it: Claim, index: number, all: readonly Claim[]): boolean {
  return all.findIndex((other) => other.student === it.student && other.writer === it.writer) === index;
}

function shareOf(model: MemoryStore, writers: readonly TestWriter[][], { student, writer, ...it }: Claim): Share {
  const one = writers[student]![writer]!;
  const current = model.stateOf(one.student, one.writer) ?? { seq: 0, chain: '0'.repeat(64) };
  const seq = it.belief === 'older' ? Math.max(0, current.seq - 1) : current.seq + (it.belief === 'newer' ? 1 : 0);
  one.rewind({ seq, chain: it.belief === 'forked' ? 'f'.repeat(64) : current.chain });
  return share(one, it.events, it.late);
}

async function setLate(shard: TestShard['shard'], model: MemoryStore, student: string, is: boolean): Promise<void> {
  await setDeadlines(shard, new Map([[student, is ? Date.now() - 60_000 : Date.now() + 60_000]]));
  if (is) model.late.add(student);
  else model.late.delete(student);
}

async function finishStudent(shard: TestShard['shard'], model: MemoryStore, student: string): Promise<void> {
  const state = model.stateOf(student, 'writer-0');
  if (state && (await finish(shard, student, 'writer-0', state)).kind === 'ok') model.finished.add(student);
}

async function compare(shard: TestShard['shard'], model: MemoryStore, batch: AppendBatch): Promise<void> {
  const reply = await append(shard, batch);
  const flat =
    reply.kind === 'refused' ? reply.offenders.flatMap(({ index, kind, state }) => [`${index}`, kind, state]) : [];
  const answer = model.append([batch.bytes, batch.codec, `${batch.count}`, batch.digest, ...batch.writers]);
  expect([reply.kind, ...flat]).toEqual(reply.kind === 'ok' ? ['ok'] : answer);
  expect(answer[0]).toBe(reply.kind);
}

test('the append script answers like the model that was written from the protocol', async () => {
  const started = await startShard();
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), (steps) => play(started, steps, false)),
    { numRuns: 60 },
  );
});

test('also at and after the seal', async () => {
  for (const marks of [true, false]) {
    const append = {
      act: 'append',
      claims: [0, 1].map((student) => ({ student, writer: 0, belief: 'true', events: 2 })),
    };
    const steps = [append, { act: 'policy', marks }, append].map((one) => ({
      ...one,
      ...('claims' in one ? { claims: one.claims?.map((it) => ({ ...it, late: false })) } : {}),
    })) as Step[];
    await play(await startShard(), steps, true);
  }
});
