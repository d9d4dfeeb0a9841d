import type { AttemptPlan } from './attempt.ts';
import type { Retry } from './retries.ts';
import type { Row } from './row.ts';

/**
 * The port to where the answers go. `test/conformance/sink.ts` is its executable form.
 *
 *     prepare ─▶ load (each shard, maybe in processes of their own) ─▶ publish (one) ─▶ readBack
 *
 * An attempt has staging of its own, which no other attempt ever reads, and what is doubtful in it is never repaired:
 * the next attempt begins anew. Only publishing touches the target, in one transaction. So a process may die anywhere,
 * or stop for an hour and go on, and the session's rows are in the target all or not at all, once.
 *
 * One object serves one process and one plan. Every method rejects with a Problem; `outcome.ts` says which codes a new
 * attempt may cure.
 */
export interface Sink {
  /**
   * Must come first, in every process. Freezes the plan for (session, attempt): the first process writes it durably,
   * every later one compares. Problem `attempt_changed` when they differ. Idempotent.
   */
  prepare(plan: AttemptPlan): Promise<void>;
  /**
   * Stages all rows of a shard. Before the first row it claims (session, attempt, shard) by one atomic step that only
   * one process can ever win and that outlives a crash. Problem `staging_ambiguous` when somebody else has the claim
   * and has not finished: nobody can know what that process still does. When it has finished, the answer is the same
   * again, and no row is read.
   *
   * When it resolves, the rows survive a power failure. When it rejects, or `rows` does, or the process dies, the claim
   * stays and the shard counts as not staged, for good. Memory is bounded whatever the number of rows.
   */
  load(shard: number, rows: AsyncIterable<readonly Row[]>): Promise<LoadedShard>;
  /**
   * Makes the rows of all shards part of the target in one transaction, or says that it was done before: it looks at
   * the control row first, and leaves when this session is published, by whichever attempt. Of publishers that run at
   * the same time at most one succeeds; the others find that out, or reject.
   *
   * Before it commits it has compared staging with what the loaders recorded and with the witnesses, and asserted by
   * the target's own means that (session uid, student, writer, seq) is unique; it never removes a duplicate. Problems:
   * `staging_incomplete`, `staging_differs`, `target_has_rows`, `target_unfit`, `rows_doubled`, `published_elsewhere`.
   *
   * A process that dies in it leaves everything or nothing; which of both, the next publisher reads from the control
   * row. When it resolves, the rows survive a power failure and others may read the target.
   */
  publish(): Promise<Published>;
  /**
   * Every row of the session that the target holds, read from the target itself and in no case from staging: all rows
   * of a student one after the other, by ORDER_NO; the students in any order. Batches of any size, memory bounded.
   * What is read is what is there, also when it is wrong.
   */
  readBack(): AsyncIterable<readonly Row[]>;
  /** What the loaders of this attempt recorded, by shard; those that have not finished are left out. */
  loaded(): Promise<LoadedShard[]>;
  /**
   * After the proof: lets go of what was staged, in every attempt of the session. Idempotent; what is in use stays.
   * Left out by a sink whose staging is the archive.
   */
  tidy?(): Promise<void>;
  /** What this process tried again so far, for the report; left out by a sink that never does. */
  retries?(): readonly Retry[];
  /** Product and version, for the report. */
  version(): Promise<string>;
  /** Lets go of everything; idempotent. What is under way is given up. */
  close(): Promise<void>;
}

/** What a loader recorded when it had finished, durably. Times are ms since 1970. */
export interface LoadedShard {
  readonly shard: number;
  readonly attempt: number;
  readonly rows: number;
  /** What is staged, in bytes, and its SHA-256 in hex (of a file, or of whatever the sink can read back). */
  readonly bytes: number;
  readonly digest: string;
  readonly startedAt: number;
  readonly endedAt: number;
  /** How the rows went in, where a sink has more than one way. */
  readonly loadedBy?: 'DirectPath' | 'Conventional';
}

/** What the control row says. */
export interface Published {
  /** The attempt whose rows are in the target. */
  readonly attempt: number;
  readonly table: string;
  readonly rows: number;
  /** SHA-256, hex, over the digests of what was staged. */
  readonly digest: string;
  /** ms since 1970. */
  readonly publishedAt: number;
  /** True when this call found it so and did nothing. */
  readonly already: boolean;
  /** How often it had to wait for the target. */
  readonly retries: number;
  /** The rows are in no log of the target: only a backup that is made now brings them back. Left out: they are. */
  readonly backupNeeded?: boolean;
}
