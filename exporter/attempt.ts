import type { Witness } from '#queue/witness.ts';

/**
 * The plan of one attempt to export, frozen before its first row is loaded: every loader and the publisher of the
 * attempt work from the same one, whatever becomes of the session's spec meanwhile. A changed plan is another attempt.
 */
export interface AttemptPlan {
  readonly session: {
    readonly name: string;
    readonly uid: string;
    readonly exam: string;
    readonly rehearsal: boolean;
  };
  /** From 1; a later attempt has a greater number. */
  readonly attempt: number;
  /** What takes the rows: the kind of sink and where it is, seen from its staging. No secrets. */
  readonly target: string;
  /** Name of the table, with the suffix of a rehearsal. */
  readonly table: string;
  /** Rows that are handed to the sink at a time, at most. */
  readonly batchRows: number;
  /** What each shard held when it was sealed, by shard. */
  readonly witnesses: readonly Witness[];
  /** The session's root at the seal, hex. */
  readonly root: string;
}

/** A rehearsal's rows never stand beside real answers. */
export function tableOf(table: string, rehearsal: boolean): string {
  return rehearsal ? `${table}_REHEARSAL` : table;
}

/** Events of the whole session, as counted at the seal. */
export function eventsOf(plan: AttemptPlan): number {
  return plan.witnesses.reduce((sum, witness) => sum + witness.events, 0);
}

/** The plan as text: equal plans, and only those, have equal texts. This is what a sink freezes. */
export function planText(plan: AttemptPlan): string {
  const { session, attempt, target, table, batchRows, witnesses, root } = plan;
  const { name, uid, exam, rehearsal } = session;
  const shards = witnesses.map(({ shard, lastId, events, digest }) => ({ shard, lastId, events, digest }));
  const ordered = { session: { name, uid, exam, rehearsal }, attempt, target, table, batchRows, shards, root };
  return `${JSON.stringify(ordered, null, 2)}\n`;
}
