import { formatState, nextChain, originChain, type State } from '#queue/chain.ts';
import { shardOf } from '#queue/identity.ts';
import { splitWriterField, writerField } from '#queue/keys.ts';
import { limits } from '#queue/limits.ts';
import type { WriterState } from '#queue/merkle.ts';
import type { AttemptPlan } from './attempt.ts';
import type { Row } from './row.ts';
import type { Sealed } from './sealed.ts';
import { emptyTrail, extendTrail, type Trail } from './trail.ts';

/** Writers that do not stand where the queue says, of students whose rows are otherwise as in the log. */
export interface StateConflict {
  readonly student: string;
  readonly writer: string;
  /** As `seq:chain`; null: none. */
  readonly rows: string | null;
  readonly sealed: string | null;
}

/** What comparing found. */
export interface Comparison {
  readonly rows: number;
  readonly students: number;
  /** Every writer's state as its rows give it: the leaves of the root. */
  readonly writers: WriterState[];
  /** Students whose rows are not those of the log: who, and how they are to be explained, `differences.ts` says. */
  readonly suspects: readonly string[];
  readonly conflicts: readonly StateConflict[];
}

/** Takes the rows that were read back, all of a student one after the other, and compares them with the queue. */
export interface RowComparer {
  take(rows: readonly Row[]): void;
  end(): Comparison;
}

/** The student whose rows are being read. */
interface Current {
  readonly student: string;
  readonly shard: number;
  readonly writers: Map<string, State>;
  readonly trail: Trail;
  suspect: boolean;
}

/** @param sealed is used up: what was compared is taken out of it, so that what is left is missing */
export function compareRows(plan: AttemptPlan, sealed: Sealed): RowComparer {
  const { uid, exam } = plan.session;
  const suspects: string[] = [];
  const conflicts: StateConflict[] = [];
  const writers: WriterState[] = [];
  let current: Current | null = null;
  let rows = 0;
  let students = 0;

  function take(row: Row): void {
    if (row.student !== current?.student) {
      endStudent();
      current = begin(row.student);
    }
    const at = current as Current;
    rows += 1;
    if (row.orderNo !== at.trail.rows + 1 || row.exam !== exam || row.shard !== at.shard) at.suspect = true;
    extendTrail(at.trail, row);
    const before = at.writers.get(row.writer) ?? { seq: 0, chain: originChain(uid, row.student, row.writer) };
    if (row.seq !== before.seq + 1 || row.payload.length > limits.payloadBytes) at.suspect = true;
    else at.writers.set(row.writer, { seq: row.seq, chain: nextChain(before.chain, row.payload) });
  }

  function begin(student: string): Current {
    const shard = shardOf(student, plan.witnesses.length);
    return { student, shard, writers: new Map(), trail: emptyTrail(), suspect: false };
  }

  function endStudent(): void {
    if (current === null) return;
    const { student, trail, suspect } = current;
    students += 1;
    const expected = sealed.trails.get(student);
    sealed.trails.delete(student);
    const differs = suspect || expected?.rows !== trail.rows || expected.digest !== trail.digest;
    if (differs) suspects.push(student);
    for (const [writer, state] of current.writers) {
      const field = writerField(writer, student);
      const stored = sealed.writers.get(field) ?? null;
      sealed.writers.delete(field);
      writers.push({ student, writer, state });
      const own = formatState(state);
      if (!differs && stored !== own) conflicts.push({ student, writer, rows: own, sealed: stored });
    }
  }

  return {
    take(batch) {
      for (const row of batch) take(row);
    },
    end() {
      endStudent();
      current = null;
      // Students of the log without a single row.
      for (const student of sealed.trails.keys()) suspects.push(student);
      const known = new Set(suspects);
      for (const [field, state] of sealed.writers) {
        const { writer, student } = splitWriterField(field);
        if (!known.has(student)) conflicts.push({ student, writer, rows: null, sealed: state });
      }
      return { rows, students, writers, suspects, conflicts };
    },
  };
}
