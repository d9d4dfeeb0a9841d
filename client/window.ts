/**
 * Which events are where, as three marks on one line: durable <= sent <= stored.
 *
 *     1 ....... durable ....... sent ....... stored
 *               \__ in flight _/ \_ to send _/
 *
 * `stored` are safe in the outbox and may be sent, `sent` went out on this connection, `durable` is what the server has;
 * at most `limit` are in flight. The functions move marks and do nothing else.
 */
export interface SendWindow {
  readonly limit: number;
  stored: number;
  sent: number;
  durable: number;
}

/** The seq to send next, which then counts as sent; 0 when there is none, or enough is in flight. */
export function takeNext(window: SendWindow): number {
  return window.sent < window.stored && window.sent - window.durable < window.limit ? ++window.sent : 0;
}

/**
 * The server says that everything up to `seq` is durable. What was not sent on this connection is not believed yet (it
 * may be another copy's): it is sent, and recognised as a repeat. True when the mark moved.
 */
export function confirmUpTo(window: SendWindow, seq: number): boolean {
  const believed = Math.min(seq, window.sent);
  if (believed <= window.durable) return false;
  window.durable = believed;
  return true;
}

/** The server wants everything from `seq` on again. False when it wants what it had called durable. */
export function rewindTo(window: SendWindow, seq: number): boolean {
  if (seq <= window.durable) return false;
  window.sent = Math.min(window.sent, seq - 1);
  return true;
}

/** A new connection, whose server has everything up to `seq`, compared and equal. */
export function reopenAt(window: SendWindow, seq: number): void {
  window.sent = seq;
  window.durable = seq;
}
