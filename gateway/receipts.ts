import type { KeyObject } from 'node:crypto';
import type { State } from '#queue/chain.ts';
import { makeReceipt, type Receipt } from '#queue/receipt.ts';

export interface Receipts {
  /** Signs that everything up to `state` was durable at `time` (ms since 1970). */
  make(student: string, writer: string, state: State, time: number): Receipt;
}

/** Makes the receipts of one session, with the session's own key. */
export function createReceipts(key: KeyObject, session: string): Receipts {
  return {
    make: (student, writer, { seq, chain }, time) =>
      makeReceipt(key, { session, student, writer, lastSeq: seq, chain, time }),
  };
}
