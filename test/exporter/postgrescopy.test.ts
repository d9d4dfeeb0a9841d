import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Row } from '#exporter/row.ts';
import { encodeStaged, readInt64, readTime, stagedColumns, tupleReader } from '#exporter/sinks/postgres/binarycopy.ts';
import { limits } from '#queue/limits.ts';

const text = (most: number) => fc.string({ unit: 'binary', maxLength: most }).filter((one) => one.isWellFormed());
const row: fc.Arbitrary<Row> = fc.record({
  exam: fc.constant('algebra'),
  sessionUid: fc.constant('uid'),
  student: text(40),
  orderNo: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
  writer: text(64),
  seq: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
  payload: fc.oneof(
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    fc.integer({ min: 0, max: limits.payloadBytes }).map((size) => Buffer.alloc(size, 'x')),
  ),
  receivedAt: fc.oneof(fc.integer({ min: 0, max: 2 ** 48 - 1 }), fc.integer({ min: 0, max: 2 ** 42 })),
  durableAt: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
  late: fc.boolean(),
  shard: fc.constant(0),
});

async function bytesOf(batches: readonly Row[][]): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of encodeStaged(
    (async function* () {
      yield* batches;
    })(),
  )) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function read(bytes: Buffer, cuts: readonly number[]) {
  const rows: Omit<Row, 'exam' | 'sessionUid' | 'shard'>[] = [];
  const positions: number[] = [];
  const reader = tupleReader(stagedColumns.length, ({ bytes: all, starts, ends }) => {
    const text = (field: number) => all.toString('utf8', starts[field], ends[field]);
    positions.push(readInt64(all, starts[0]!));
    rows.push({
      student: text(1),
      orderNo: all.readInt32BE(starts[2]),
      writer: text(3),
      seq: all.readInt32BE(starts[4]),
      payload: Buffer.from(all.subarray(starts[5], ends[5])),
      receivedAt: readTime(all, starts[6]!),
      durableAt: readTime(all, starts[7]!),
      late: all[starts[8]!] === 1,
    });
  });
  let from = 0;
  for (const cut of [...cuts, bytes.length]) {
    reader.push(bytes.subarray(from, cut));
    from = cut;
  }
  reader.end();
  return { rows, positions };
}

test('what is encoded in batches is read back, wherever the network cuts it', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(row, { maxLength: 6 }), { maxLength: 4 }),
      fc.array(fc.nat()),
      async (batches, cuts) => {
        const bytes = await bytesOf(batches);
        const places = cuts.map((cut) => cut % bytes.length).sort((a, b) => a - b);
        const { rows, positions } = read(bytes, places);
        expect(rows).toEqual(batches.flat().map(({ exam: _, sessionUid: __, shard: ___, ...rest }) => rest));
        expect(positions).toEqual(rows.map((_, i) => i));
      },
    ),
    { numRuns: 60 },
  );
});

test('rows that are cut off, of another shape, or no COPY at all are errors', async () => {
  const one = fc.sample(row, { numRuns: 1, seed: 1 });
  const bytes = await bytesOf([one]);
  for (const end of [5, 19, 40, bytes.length - 2, bytes.length - 1]) {
    expect(() => read(bytes.subarray(0, end), [])).toThrow('ended in the middle');
  }
  expect(() => tupleReader(3, () => undefined).push(bytes)).toThrow('a row has 9 fields, 3 were asked for');
  expect(() => tupleReader(3, () => undefined).push(Buffer.from('ERROR: something went wrong'))).toThrow(
    'no binary COPY',
  );
});
