/** What the answer to Open means for an outbox: a pure judgement. */

/** What the server told this outbox last, kept with the outbox. */
export interface Told {
  readonly seq: number;
  readonly incarnation: string;
}

/** What the server says it has of this writer now. */
export interface ServerState {
  readonly seq: number;
  readonly chain: string;
  readonly incarnation: string;
}

export type Verdict =
  /** Equal histories: go on from there. */
  | 'in_step'
  /** Less than told before, under the same incarnation: an alarm, and everything from there is sent again. */
  | 'lost_data'
  /** Less than told before, under another incarnation, which an admin allowed: everything is sent again. */
  | 'refill'
  /** Another history, or more than this outbox ever numbered: nothing may be sent. */
  | 'forked';

/**
 * @param told null before the first Open
 * @param ownChain the outbox's own chain at `server.seq`, null when the outbox has not got that far
 */
export function judgeResume(told: Told | null, server: ServerState, ownChain: string | null): Verdict {
  if (ownChain !== server.chain) return 'forked';
  if (told === null || server.seq >= told.seq) return 'in_step';
  return server.incarnation === told.incarnation ? 'lost_data' : 'refill';
}
