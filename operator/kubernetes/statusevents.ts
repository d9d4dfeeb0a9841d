import type { ConditionType } from '../conditions.ts';
import type { Condition, Phase, SessionStatus } from '../status.ts';

/** What people are told by events when a status changes. Pure. */
export interface StatusNote {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly note: string;
}

const phaseNotes = {
  Pending: 'The session waits for its time.',
  Provisioning: 'The queue and the gateways are started.',
  Active: 'Students can answer.',
  Draining: 'The session is being finalized: answers on their way are still taken, then it is sealed.',
  Exporting: 'The session is sealed; its answers are exported.',
  Completed: 'Every answer is in the table, and that was proved.',
  Failed: 'The session cannot go on until a person mends something.',
} as const satisfies Record<Phase, string>;

/** Conditions that are news when they begin, each with the status that is bad news. */
const told: Readonly<Partial<Record<ConditionType, { readonly bad: 'True' | 'False' | null }>>> = {
  Accepted: { bad: 'False' },
  Sealed: { bad: null },
  Exported: { bad: null },
  Verified: { bad: null },
  Degraded: { bad: 'True' },
  Paused: { bad: null },
};

export function statusNotes(before: SessionStatus | null, after: SessionStatus): StatusNote[] {
  const notes: StatusNote[] = [];
  if (before?.phase !== after.phase) {
    const type = after.phase === 'Failed' ? 'Warning' : 'Normal';
    notes.push({ type, reason: after.phase, note: phaseNotes[after.phase] });
  }
  for (const condition of after.conditions) {
    const old = before?.conditions.find(({ type }) => type === condition.type);
    const note = noteOf(old, condition);
    if (note !== null) notes.push(note);
  }
  return notes;
}

/**
 * Null when it is no news: as before, or how every session begins. An attempt to export that fails is one too, and so
 * is another reason for what is bad.
 */
function noteOf(old: Condition | undefined, now: Condition): StatusNote | null {
  const { bad } = told[now.type] ?? {};
  if (bad === undefined || (old?.status === now.status && old.reason === now.reason)) return null;
  const failedExport = now.type === 'Exported' && (now.reason === 'Failed' || now.reason === 'Blocked');
  const isBad = now.status === bad || failedExport;
  const isGood = now.status === 'True' || (old?.status === bad && bad !== null);
  if (!isBad && (!isGood || old?.status === now.status)) return null;
  // A session that is accepted from the start is none either.
  if (old === undefined && now.type === 'Accepted' && !isBad) return null;
  return { type: isBad ? 'Warning' : 'Normal', reason: nameOf(now, isBad), note: now.message };
}

function nameOf({ type, status, reason }: Condition, isBad: boolean): string {
  if (isBad) return type === 'Exported' ? `Export${reason}` : `${type === 'Accepted' ? 'Not' : ''}${type}`;
  if (type === 'Degraded') return 'Recovered';
  return status === 'True' ? type : `Not${type}`;
}
