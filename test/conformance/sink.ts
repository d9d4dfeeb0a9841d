import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { AttemptPlan } from '#exporter/attempt.ts';
import type { Row } from '#exporter/row.ts';
import type { LoadedShard, Sink } from '#exporter/sink.ts';
import { checkStudent } from '#queue/identity.ts';
import { admitPayload } from '#queue/payload.ts';
import { anyEvent } from '#test/queue/arbitraries.ts';
import { awkwardPayloads, awkwardStudents, awkwardTimes } from './awkward.ts';
import { inBatches, planOf, readAll, rowsOf, sorted, table } from './sinkrows.ts';

/** A target for one test: empty, shared by everything that is opened on it. */
export interface SinkTarget {
  /**
   * A sink as one process of that session has it; each call is another process. The test closes it, or the target does
   * at the end.
   */
  open(sessionUid: string): Sink;
  /** Runs a statement of standard SQL, names quoted, from outside; rows as objects. Nobody else is at work then. */
  sql(statement: string): Promise<Record<string, unknown>[]>;
}

const coded = (code: string) => expect.objectContaining({ code });

/**
 * What every sink must pass. Crashes of whole processes are the business of `sinkproof.ts` and of each sink's own tests.
 * @param make a new, empty target
 */
export function sinkConformance(name: string, make: () => Promise<SinkTarget> | SinkTarget): void {
  /** Loads everything, each shard through a sink of its own. */
  async function loadAll(target: SinkTarget, plan: AttemptPlan, rows?: readonly Row[][]): Promise<LoadedShard[]> {
    const loaded: LoadedShard[] = [];
    for (const { shard } of plan.witnesses) {
      const sink = await prepared(target, plan);
      loaded.push(await sink.load(shard, inBatches(rows?.[shard] ?? rowsOf(plan, shard))));
      await sink.close();
    }
    return loaded;
  }

  async function prepared(target: SinkTarget, plan: AttemptPlan): Promise<Sink> {
    const sink = target.open(plan.session.uid);
    await sink.prepare(plan);
    return sink;
  }

  async function publishAll(target: SinkTarget, plan: AttemptPlan) {
    const sink = await prepared(target, plan);
    try {
      return await sink.publish();
    } finally {
      await sink.close();
    }
  }

  async function stored(target: SinkTarget, plan: AttemptPlan): Promise<Row[]> {
    const sink = await prepared(target, plan);
    try {
      return sorted(await readAll(sink));
    } finally {
      await sink.close();
    }
  }

  async function countRows(target: SinkTarget, from = table): Promise<number> {
    const [row] = await target.sql(`SELECT count(*) AS "N" FROM "${from}"`);
    return Number(row?.N);
  }

  describe(`sink: ${name}`, { timeout: 30_000 }, () => {
    test('stages shards, publishes them in one step, and reads every column back', async () => {
      const target = await make();
      const plan = planOf([100, 0, 7]);
      const loaded = await loadAll(target, plan);
      expect(loaded.map(({ rows }) => rows)).toEqual([100, 0, 7]);
      const published = await publishAll(target, plan);
      expect(published).toMatchObject({ attempt: 1, table, rows: 107, already: false });
      const all = plan.witnesses.flatMap(({ shard }) => rowsOf(plan, shard));
      expect(await stored(target, plan)).toEqual(sorted(all));
    });

    test('reads all rows of a student one after the other, by ORDER_NO, however they were loaded', async () => {
      const target = await make();
      const plan = planOf([3_000]);
      await loadAll(target, plan);
      await publishAll(target, plan);
      const sink = await prepared(target, plan);
      const read = await readAll(sink);
      await sink.close();
      const starts = read.filter((row, i) => row.student !== read[i - 1]?.student);
      expect(starts).toHaveLength(3);
      for (const [i, row] of read.entries()) {
        expect(row.orderNo).toBe(row.student === read[i - 1]?.student ? read[i - 1]!.orderNo + 1 : 1);
      }
    });

    test('keeps every admissible payload to the byte, every student id, and times at the ends of their range', async () => {
      const target = await make();
      const students = awkwardStudents;
      const rows = awkwardPayloads.flatMap((text, p) =>
        students.slice(0, p < 3 ? students.length : 1).map((student) => ({ text, student })),
      );
      for (const { text, student } of rows) {
        expect([admitPayload(Buffer.from(text)), checkStudent(student)]).toEqual([null, null]);
      }
      const plan = planOf([rows.length]);
      const counts = new Map<string, number>();
      const given = rowsOf(plan, 0, (_, i) => {
        const { text, student } = rows[i]!;
        const orderNo = (counts.get(student) ?? 0) + 1;
        counts.set(student, orderNo);
        const [receivedAt, durableAt] = awkwardTimes[i % awkwardTimes.length]!;
        return { student, payload: Buffer.from(text), seq: orderNo, orderNo, receivedAt, durableAt };
      });
      await loadAll(target, plan, [given]);
      await publishAll(target, plan);
      expect(await stored(target, plan)).toEqual(sorted(given));
    });

    test('keeps whatever events the queue can hold', async () => {
      const target = await make();
      const events = fc.uniqueArray(anyEvent, {
        minLength: 1,
        maxLength: 100,
        selector: ({ student, writer, seq }) => JSON.stringify([student, writer, seq]),
      });
      await fc.assert(
        fc.asyncProperty(events, async (given) => {
          const plan = planOf([given.length]);
          const counts = new Map<string, number>();
          const rows = rowsOf(plan, 0, (_, i) => {
            // The seqs of a batch need 32 bits, those of a writer never do.
            const event = { ...given[i]!, seq: given[i]!.seq % 2 ** 31 };
            counts.set(event.student, (counts.get(event.student) ?? 0) + 1);
            return { ...event, orderNo: counts.get(event.student)! };
          });
          await loadAll(target, plan, [rows]);
          await publishAll(target, plan);
          expect(await stored(target, plan)).toEqual(sorted(rows));
        }),
        { numRuns: 4 },
      );
    });

    test('promise 23: a shard that was claimed and not finished is nobody’s: that attempt is over, the next goes through', async () => {
      const target = await make();
      const plan = planOf([60, 60]);
      const first = await prepared(target, plan);
      let reached = () => {};
      const paused = new Promise<void>((resolve) => {
        reached = resolve;
      });
      let goOn = () => {};
      const wait = new Promise<void>((resolve) => {
        goOn = resolve;
      });
      const slow = inBatches(rowsOf(plan, 0), 50, () => {
        reached();
        return wait;
      });
      const pausedLoad = first.load(0, slow);
      await paused;

      const second = await prepared(target, plan);
      await expect(second.load(0, inBatches(rowsOf(plan, 0)))).rejects.toEqual(coded('staging_ambiguous'));
      await second.close();
      const next = { ...plan, attempt: 2 };
      await loadAll(target, next);
      await publishAll(target, next);

      // The paused loader goes on, and finishes: into staging that nobody reads.
      goOn();
      await pausedLoad.catch(() => undefined);
      await first.close();
      expect(await publishAll(target, next)).toMatchObject({ attempt: 2, already: true });
      expect(await stored(target, next)).toHaveLength(120);
    });

    test('promise 23: of loaders of one shard that begin at once, one stages it', async () => {
      const target = await make();
      const plan = planOf([60]);
      const sinks = await Promise.all([1, 2, 3].map(() => prepared(target, plan)));
      // Whoever comes after the winner has finished is told the same as the winner: so it may not finish before.
      const othersLost = Promise.withResolvers<void>();
      let losers = 0;
      async function* heldRows() {
        await othersLost.promise;
        yield* inBatches(rowsOf(plan, 0));
      }
      const loads = sinks.map(async (sink) => {
        try {
          return await sink.load(0, heldRows());
        } catch (error) {
          if (++losers === 2) othersLost.resolve();
          throw error;
        }
      });
      const outcomes = await Promise.allSettled(loads);
      await Promise.all(sinks.map((sink) => sink.close()));
      const won = outcomes.filter(({ status }) => status === 'fulfilled');
      const lost = outcomes.filter(({ status }) => status === 'rejected');
      expect(won).toHaveLength(1);
      for (const one of lost) expect(one).toMatchObject({ reason: coded('staging_ambiguous') });
      await publishAll(target, plan);
      expect(await countRows(target)).toBe(60);
    });

    test('a loader that comes back after it had finished is told the same, and reads nothing', async () => {
      const target = await make();
      const plan = planOf([60]);
      const [before] = await loadAll(target, plan);
      const sink = await prepared(target, plan);
      const never: AsyncIterable<Row[]> = {
        [Symbol.asyncIterator]() {
          throw new Error('was read');
        },
      };
      expect(await sink.load(0, never)).toEqual(before);
      expect(await sink.loaded()).toEqual([before]);
      await sink.close();
    });

    test('a source that fails leaves nothing that could be published, and the claim', async () => {
      const target = await make();
      const plan = planOf([60]);
      const sink = await prepared(target, plan);
      const broken = inBatches(rowsOf(plan, 0), 20, () => Promise.reject(new Error('the log ended early')));
      await expect(sink.load(0, broken)).rejects.toThrow('the log ended early');
      await sink.close();
      await expect(publishAll(target, plan)).rejects.toEqual(coded('staging_incomplete'));
      const again = await prepared(target, plan);
      await expect(again.load(0, inBatches(rowsOf(plan, 0)))).rejects.toEqual(coded('staging_ambiguous'));
      await again.close();
    });

    test('refuses to publish while a shard is not staged, or not as its witness says', async () => {
      const target = await make();
      const plan = planOf([60, 9]);
      const sink = await prepared(target, plan);
      await sink.load(0, inBatches(rowsOf(plan, 0)));
      await expect(sink.publish()).rejects.toEqual(coded('staging_incomplete'));
      await sink.load(1, inBatches(rowsOf(plan, 1).slice(1)));
      await expect(sink.publish()).rejects.toEqual(coded('staging_differs'));
      await sink.close();
      await loadAll(target, { ...plan, attempt: 2 });
      await publishAll(target, { ...plan, attempt: 2 });
      expect(await countRows(target)).toBe(69);
    });

    test('refuses staged rows of another shard or session', async () => {
      const target = await make();
      const foreign = planOf([6]);
      const others = rowsOf(foreign, 0, (_, i) =>
        i === 5 ? { sessionUid: randomUUID(), shard: 3, exam: 'other' } : {},
      );
      await loadAll(target, foreign, [others]).catch(() => undefined);
      const outcome = await publishAll(target, foreign).then(
        () => stored(target, foreign),
        () => 'refused',
      );
      // A sink may also write these columns itself: then they are right.
      expect(['refused', sorted(rowsOf(foreign, 0))]).toContainEqual(outcome);
    });

    test('promise 25: rows of one student, writer and seq are refused, never made one', async () => {
      const target = await make();
      const plan = planOf([60]);
      const doubled = rowsOf(plan, 0, (row, i) => (i === 57 ? { seq: row.seq - 1 } : {}));
      await loadAll(target, plan, [doubled]);
      await expect(publishAll(target, plan)).rejects.toEqual(coded('rows_doubled'));
      const next = { ...plan, attempt: 2 };
      await loadAll(target, next);
      await publishAll(target, next);
      expect(await countRows(target)).toBe(60);
    });

    test('promise 26: an attempt keeps its plan; another plan is another attempt', async () => {
      const target = await make();
      const plan = planOf([60]);
      await loadAll(target, plan);
      const changes: Partial<AttemptPlan>[] = [
        { table: 'OTHER_ANSWERS' },
        { batchRows: 51 },
        { target: 'elsewhere' },
        { root: 'f'.repeat(64) },
        { witnesses: [{ ...plan.witnesses[0]!, events: 61 }] },
      ];
      for (const change of changes) {
        const sink = target.open(plan.session.uid);
        await expect(sink.prepare({ ...plan, ...change })).rejects.toEqual(coded('attempt_changed'));
        await sink.close();
      }
      await publishAll(target, plan);
    });

    test('promise 26: a session that is published goes into no second table', async () => {
      const target = await make();
      const plan = planOf([60]);
      await loadAll(target, plan);
      await publishAll(target, plan);
      const moved = { ...plan, attempt: 2, table: 'OTHER_ANSWERS' };
      await loadAll(target, moved);
      await expect(publishAll(target, moved)).rejects.toEqual(coded('published_elsewhere'));
      expect(await countRows(target)).toBe(60);
    });

    test('promise 28: whoever publishes again, in whichever attempt, finds it published', async () => {
      const target = await make();
      const plan = planOf([60]);
      await loadAll(target, plan);
      const first = await publishAll(target, plan);
      expect(await publishAll(target, plan)).toEqual({ ...first, already: true });
      // Also with nothing staged: the control row is read before anything else.
      expect(await publishAll(target, { ...plan, attempt: 2 })).toEqual({ ...first, already: true });
      expect(await countRows(target)).toBe(60);
    });

    test('promise 27: publishers at once publish once', async () => {
      const target = await make();
      const plan = planOf([60]);
      await loadAll(target, plan);
      const sinks = await Promise.all([1, 2].map(() => prepared(target, plan)));
      const outcomes = await Promise.allSettled(sinks.map((sink) => sink.publish()));
      await Promise.all(sinks.map((sink) => sink.close()));
      const done = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
      expect(done.filter(({ already }) => !already)).toHaveLength(1);
      expect(await countRows(target)).toBe(60);
    });

    test('two sessions share a table, and neither sees the other', async () => {
      const target = await make();
      const [one, two] = [planOf([60]), planOf([30, 3])];
      await loadAll(target, one);
      await loadAll(target, { ...two, attempt: 7 });
      await publishAll(target, one);
      await publishAll(target, { ...two, attempt: 7 });
      expect(await stored(target, one)).toEqual(sorted(rowsOf(one, 0)));
      expect(await stored(target, { ...two, attempt: 7 })).toHaveLength(33);
      expect(await countRows(target)).toBe(93);
    });

    test('rows of the session that nobody published are a fault, not something to add to', async () => {
      const target = await make();
      const [one, two] = [planOf([60]), planOf([3])];
      await loadAll(target, one);
      await publishAll(target, one);
      await target.sql(`UPDATE "${table}" SET "SESSION_UID" = '${two.session.uid}' WHERE "ORDER_NO" = 1`);
      await loadAll(target, two);
      await expect(publishAll(target, two)).rejects.toEqual(coded('target_has_rows'));
      expect(await countRows(target)).toBe(60);
    });

    test('a table of that name with other columns is left alone', async () => {
      const target = await make();
      await target.sql(`CREATE TABLE "${table}" ("STUDENT" VARCHAR(10), "MARK" INTEGER)`);
      const plan = planOf([3]);
      await loadAll(target, plan);
      await expect(publishAll(target, plan)).rejects.toEqual(coded('target_unfit'));
      expect(await countRows(target)).toBe(0);
    });

    test('a session without a single answer is published too', async () => {
      const target = await make();
      const plan = planOf([0, 0]);
      await loadAll(target, plan);
      expect(await publishAll(target, plan)).toMatchObject({ rows: 0, already: false });
      expect(await publishAll(target, plan)).toMatchObject({ rows: 0, already: true });
      expect(await stored(target, plan)).toEqual([]);
    });

    test('reading can be given up, closing is idempotent', async () => {
      const target = await make();
      const plan = planOf([5_000]);
      await loadAll(target, plan);
      await publishAll(target, plan);
      const sink = await prepared(target, plan);
      for await (const batch of sink.readBack()) {
        expect(batch.length).toBeGreaterThan(0);
        break;
      }
      expect(await readAll(sink)).toHaveLength(5_000);
      await sink.close();
      await sink.close();
      expect(await target.open(randomUUID()).version()).not.toBe('');
    });
  });
}
