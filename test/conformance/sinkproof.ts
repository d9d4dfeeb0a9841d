import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import type { DifferenceKind } from '#exporter/differences.ts';
import type { Report } from '#exporter/report.ts';
import { isProblem, type Problem } from '#queue/problem.ts';
import { loadAll, publish } from '#test/exporter/job.ts';
import { type SealedSession, sealedSession } from '#test/exporter/sealedsession.ts';
import type { SinkTarget } from './sink.ts';

const table = '"EXAM_ANSWERS"';

/** A change to the published table, made behind the exporter's back, and what must be said of it. */
interface Tampering {
  readonly what: string;
  readonly sql: (session: SealedSession) => readonly string[];
  /** The kinds of what is found. */
  readonly found: readonly DifferenceKind[];
  /** Must stand in what is said, and stands for all of it. */
  readonly says: (session: SealedSession) => readonly string[];
}

const student = 'student-3';
const writer = 'writer-0-of-it';
const row = (seq: number) => `"STUDENT" = '${student}' AND "WRITER" = '${writer}' AND "SEQ" = ${seq}`;
const named = (seq: number) => `student ${student}, writer ${writer}, seq ${seq}: `;
const set = (seq: number, change: string) => () => [`UPDATE ${table} SET ${change} WHERE ${row(seq)}`];
const copyOf = (change: Record<string, string>, from: string) => {
  const names = ['EXAM', 'SESSION_UID', 'STUDENT', 'ORDER_NO', 'WRITER', 'SEQ', 'PAYLOAD', 'RECEIVED_AT', 'DURABLE_AT'];
  const all = [...names, 'LATE', 'SHARD'];
  const values = all.map((name) => change[name] ?? `"${name}"`);
  const list = all.map((name) => `"${name}"`).join(', ');
  return `INSERT INTO ${table} (${list}) SELECT ${values.join(', ')} FROM ${table} WHERE ${from}`;
};

const tamperings: readonly Tampering[] = [
  {
    what: 'a wrong byte',
    sql: set(2, `"PAYLOAD" = replace("PAYLOAD", 'answer', 'Answer')`),
    found: ['changed'],
    says: () => [`${named(2)}PAYLOAD has`],
  },
  {
    what: 'a payload that means the same JSON',
    sql: set(2, `"PAYLOAD" = replace("PAYLOAD", ':', ': ')`),
    found: ['changed'],
    says: () => [`${named(2)}PAYLOAD has`],
  },
  {
    what: 'a missing row',
    sql: () => [`DELETE FROM ${table} WHERE ${row(4)}`],
    found: ['missing'],
    says: () => [`${named(4)}acknowledged, and not in the table (ORDER_NO 4)`],
  },
  {
    what: 'a doubled row',
    sql: () => [copyOf({}, row(4))],
    found: ['doubled'],
    says: () => [`${named(4)}the row is there once more`],
  },
  {
    what: 'a row of another session, under this session’s uid',
    sql: ({ uid }) => [copyOf({ SESSION_UID: `'${uid}'`, WRITER: `'writer-of-another'` }, row(1))],
    found: ['foreign'],
    says: () => [`student ${student}, writer writer-of-another, seq 1: the row (ORDER_NO 1) is not in the log`],
  },
  {
    what: 'a student whom the log does not know',
    sql: () => [copyOf({ STUDENT: `'nobody'` }, row(1))],
    found: ['foreign'],
    says: () => [`student nobody, writer ${writer}, seq 1: the row`],
  },
  {
    what: 'a row that was given to another session',
    sql: () => set(5, `"SESSION_UID" = '${randomUUID()}'`)(),
    found: ['missing'],
    says: () => [`${named(5)}acknowledged`],
  },
  {
    what: 'two rows in each other’s place',
    sql: () => [
      `UPDATE ${table} SET "ORDER_NO" = CASE "ORDER_NO" WHEN 2 THEN 3 ELSE 2 END
       WHERE "STUDENT" = '${student}' AND "ORDER_NO" IN (2, 3)`,
    ],
    found: ['disordered'],
    says: () => [`${named(2)}ORDER_NO is 3, in the log 2`, `${named(3)}ORDER_NO is 2, in the log 3`],
  },
  {
    what: 'two payloads in each other’s place',
    sql: () => [
      `UPDATE ${table} SET "SEQ" = CASE "SEQ" WHEN 2 THEN 3 ELSE 2 END
       WHERE "STUDENT" = '${student}' AND "WRITER" = '${writer}' AND "SEQ" IN (2, 3)`,
    ],
    found: ['changed', 'disordered'],
    says: () => [`${named(2)}PAYLOAD has`, `${named(3)}PAYLOAD has`],
  },
  {
    what: 'another time of receipt',
    sql: set(2, `"RECEIVED_AT" = TIMESTAMP '2001-02-03 04:05:06.789'`),
    found: ['changed'],
    says: () => [`${named(2)}RECEIVED_AT is 981173106789, in the log `],
  },
  {
    what: 'another durable time',
    sql: set(2, `"DURABLE_AT" = TIMESTAMP '2001-02-03 04:05:06.789'`),
    found: ['changed'],
    says: () => [`${named(2)}DURABLE_AT is 981173106789, in the log `],
  },
  {
    what: 'a late answer that was not',
    sql: set(2, '"LATE" = true'),
    found: ['changed'],
    says: () => [`${named(2)}LATE is true, in the log false`],
  },
  {
    what: 'another exam',
    sql: set(2, `"EXAM" = 'geometry'`),
    found: ['changed'],
    says: () => [`${named(2)}EXAM is geometry, in the log algebra`],
  },
  {
    what: 'another shard',
    sql: set(2, '"SHARD" = 7'),
    found: ['changed'],
    says: () => [`${named(2)}SHARD is 7, in the log `],
  },
];

/**
 * The proof of an export, on every sink: a sealed session in real Redis is exported, then the target is tampered with,
 * and verifying must find each fault and name it.
 */
export function sinkProof(name: string, make: () => Promise<SinkTarget> | SinkTarget): void {
  describe(`proof: ${name}`, { timeout: 30_000 }, () => {
    let target: SinkTarget;
    let session: SealedSession;
    let config: string;
    const verify = () => publish(config, target.open(session.uid));

    beforeAll(async () => {
      target = await make();
      session = await sealedSession({ shards: 2 });
      config = session.config();
      await loadAll(config, () => target.open(session.uid));
    });

    async function failure(): Promise<{ problem: Problem; report: Report }> {
      const problem = await verify().catch((error: unknown) => error);
      if (!isProblem(problem)) throw new Error('verifying found nothing', { cause: problem });
      return { problem, report: JSON.parse(readFileSync(session.report, 'utf8')) as Report };
    }

    test('exports what students were told is durable: every row, in order, with the session’s root', async () => {
      const result = await verify();
      expect(result).toMatchObject({ verified: true, already: false, rows: session.total, root: session.root });
      const sink = target.open(session.uid);
      await sink.prepare(session.plan());
      const rows = [];
      for await (const batch of sink.readBack()) rows.push(...batch);
      await sink.close();
      for (const [who, events] of session.events) {
        const own = rows.filter((one) => one.student === who);
        expect(own.map(({ seq, payload }) => [seq, payload.toString()])).toEqual(
          events.map(({ seq, payload }) => [seq, payload.toString()]),
        );
        expect(own.map(({ orderNo }) => orderNo)).toEqual(events.map((_, i) => i + 1));
      }
      await target.sql(`CREATE TABLE "UNTOUCHED" AS SELECT * FROM ${table}`);
    });

    async function restore(): Promise<void> {
      await target.sql(`DELETE FROM ${table}`);
      await target.sql(`INSERT INTO ${table} SELECT * FROM "UNTOUCHED"`);
    }

    test.for(tamperings)('finds and names $what', async ({ sql, found, says }) => {
      await restore();
      for (const statement of sql(session)) await target.sql(statement);
      const { problem, report } = await failure();
      expect(problem.code).toBe('verify_failed');
      expect(report.verified).toBe(false);
      expect(new Set(report.differences.map(({ kind }) => kind))).toEqual(new Set(found));
      for (const text of says(session)) {
        expect(problem.message).toContain(text);
        expect(report.differences.some((one) => one.text.includes(text))).toBe(true);
      }
      // Nothing else is blamed: all that is told is of the rows in question.
      const rows = says(session).map((text) => text.slice(0, text.indexOf(': ')));
      for (const { text } of report.differences) expect(rows.some((one) => text.startsWith(one))).toBe(true);
      await restore();
      expect(await verify()).toMatchObject({ verified: true, already: true, rows: session.total });
    });

    test('names some of many faults, and says that there are more', async () => {
      await restore();
      await target.sql(`DELETE FROM ${table} WHERE "SEQ" > 2`);
      const { report } = await failure();
      expect(report.differences).toHaveLength(20);
      expect(report.moreDifferences).toBe(true);
      expect(new Set(report.differences.map(({ kind }) => kind))).toEqual(new Set(['missing']));
      await target.sql(`DELETE FROM ${table}`);
      expect((await failure()).report).toMatchObject({ rows: 0, students: 0, root: null, moreDifferences: true });
    });

    test('rows of other sessions are not looked at', async () => {
      await restore();
      await target.sql(copyOf({ SESSION_UID: `'${randomUUID()}'` }, '"ORDER_NO" = 1'));
      expect(await verify()).toMatchObject({ verified: true, rows: session.total });
    });

    test('compares with the queue’s own chains and with the root of the seal, not only with the log', async () => {
      await restore();
      const other = session.config(1, { root: 'a'.repeat(64) });
      await expect(publish(other, target.open(session.uid))).rejects.toMatchObject({ code: 'attempt_changed' });
      const next = session.config(2, { root: 'a'.repeat(64) });
      await expect(publish(next, target.open(session.uid))).rejects.toMatchObject({
        code: 'verify_failed',
        message: expect.stringContaining(`root: the root of the rows is ${session.root}, at the seal it was aaaa`),
      });
      // Somebody rewrote a student's chain in Redis after the seal.
      const { shard } = session.shardOf(student);
      const field = `${writer}:${student}`;
      const chain = await shard.run((redis) => redis.hget('writers', field));
      await shard.run((redis) => redis.hset('writers', field, `6:${'b'.repeat(64)}`));
      await expect(verify()).rejects.toMatchObject({
        code: 'verify_failed',
        message: expect.stringContaining(`state: student ${student}, writer ${writer}: the rows end at ${chain}`),
      });
      await shard.run((redis) => redis.hset('writers', field, chain!));
      expect(await verify()).toMatchObject({ verified: true });
    });
  });
}
