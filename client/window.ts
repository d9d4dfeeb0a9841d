/**
 * Which events are where, as three marks on one line: durable <= sent <= stored.
 *
 *     1 ....... durable ....... sent ....... stored
 *               \__ in flight _/ \_ to send _/
 *
 * `stored` are safe in the outbox and may be sent, `sent` went out on this connection, `durable` is what the server has.
 * Pure; each function moves marks and nothing else.
 */
export interface SendWindow {
  readonly stored: number;
  readonly sent: number;
  readonly durable: number;
  /** The outbox holds everything up to `seq`. */
  store(seq: number): void;
  /** The seq to send next, which then counts as sent; 0 when there is none or `limit` are in flight. */
  take(): number;
  /**
   * The server says that everything up to `seq` is durable. What was not sent on this connection is not believed yet (it
   * may be another copy's): it is sent, and recognised as a repeat. True when the mark moved.
   */
  confirm(seq: number): boolean;
  /** The server wants everything from `seq` on again. False when it wants what it had called durable. */
  rewind(seq: number): boolean;
  /** A new connection, whose server has everything up to `seq`, compared and equal. */
  reopen(seq: number): void;
}

/** @param limit events in flight at most */
export function createSendWindow(limit: number): SendWindow {
  const marks = { stored: 0, sent: 0, durable: 0 };
  return {
    get stored() {
      return marks.stored;
    },
    get sent() {
      return marks.sent;
    },
    get durable() {
      return marks.durable;
    },
    store(seq) {
      marks.stored = seq;
    },
    take() {
      return marks.sent < marks.stored && marks.sent - marks.durable < limit ? ++marks.sent : 0;
    },
    confirm(seq) {
      const believed = Math.min(seq, marks.sent);
      if (believed <= marks.durable) return false;
      marks.durable = believed;
      return true;
    },
    rewind(seq) {
      if (seq <= marks.durable) return false;
      marks.sent = Math.min(marks.sent, seq - 1);
      return true;
    },
    reopen(seq) {
      marks.sent = seq;
      marks.durable = seq;
    },
  };
}
