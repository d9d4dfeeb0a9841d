import { createTimeline } from '#exporter/report/timeline.ts';
import { makeReport, type Report, type ReportFacts } from '#exporter/report.ts';
import { generateReceiptKeys } from '#queue/receipt.ts';

const { publicKey } = generateReceiptKeys();
const start = Date.parse('2026-06-01T09:00:00Z');

/** The facts of a made-up export in which there is something of everything. */
export function fullFacts(shards = 2): ReportFacts {
  const timeline = createTimeline(shards);
  for (let second = 0; second < 600; second++) timeline.add(second % shards, start + second * 1_000, 1 + (second % 7));
  const numbers = Array.from({ length: shards }, (_, shard) => shard);
  const { uid, root } = { uid: 'c0ffee00-0000-4000-8000-000000000001', root: 'c'.repeat(64) };
  const retries = [{ step: 'publish', code: 'ORA-00054', count: 3 }];
  const entry = { session: uid, startedAt: start + 900_000, endedAt: start + 901_000, rows: 50, code: null, retries };
  return {
    plan: {
      session: { name: 'algebra', uid, exam: 'Algebra I', rehearsal: false },
      ...{ attempt: 2, target: 'oracle db', table: 'EXAM_ANSWERS', batchRows: 5_000, root },
      witnesses: numbers.map((shard) => ({ shard, lastId: '10-0', events: 50, digest: 'a'.repeat(40) })),
    },
    target: 'oracle db.example.edu:1521/EXAMS',
    loaded: numbers.map((shard) => ({
      ...{ shard, attempt: 2, rows: 50, bytes: 1_234, digest: 'd'.repeat(64), loadedBy: 'DirectPath' as const },
      ...{ startedAt: start + 1_000_000, endedAt: start + 1_002_000 + shard },
    })),
    published: {
      ...{
        attempt: 2,
        table: 'EXAM_ANSWERS',
        rows: 50 * shards,
        digest: 'f'.repeat(64),
        publishedAt: start + 1_010_000,
      },
      ...{ already: false, retries: 3, backupNeeded: true },
    },
    verification: {
      ...{ verified: false, rows: 50 * shards - 1, students: 40, writers: 41, finished: 39, root: null, more: false },
      ...{ absent: ['ann', 'bob'], unknown: ['mallory'] },
      differences: [
        { kind: 'missing', student: 'cleo', writer: 'w', seq: 4, text: 'student cleo, writer w, seq 4: gone' },
      ],
    },
    ...{ publishMs: 500, verifyMs: 1_000, startedAt: start + 1_005_000, endedAt: start + 1_020_000 },
    roster: { students: 42, file: 'roster-missing.csv', fileSha256: '0'.repeat(64) },
    receiptPublicKey: publicKey,
    timeline: timeline.end(),
    samples: {
      ...{ file: '/data/samples.ndjson', startedAt: '2026-06-01T09:00:00.000Z', stepMs: 4_000, steps: [0, 1, 3] },
      ...{ students: [0, 30, 40], connections: [1, 31, 41], ackP50: [null, 4, 5], ackP99: [null, 30, 20] },
    },
    diaries: [
      { ...entry, attempt: 1, shard: 0, endedAt: null, pace: [] },
      { ...entry, attempt: 1, shard: null, code: 'database_unreachable', pace: [] },
      ...numbers.map((shard) => ({
        ...{ ...entry, attempt: 2, shard },
        pace: [
          [500, 20],
          [1_000, 50],
        ] as [number, number][],
      })),
    ],
    retries,
    sinkVersion: 'Oracle Database 23.5',
  };
}

export function fullReport(): Report {
  return makeReport(fullFacts());
}
