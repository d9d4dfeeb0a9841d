import type { EventName, Ledger } from './checker.ts';
import type { SignedReceipt } from './proof.ts';

/** Writes the ledger of a history: what the students' side numbered, and what it was told. */
export interface Recorder {
  readonly ledger: Ledger;
  /** Alarms of clients, and answers that must not be. */
  readonly alarms: string[];
  /** The roots that devices were told as verified. */
  readonly verified: string[];
  /** The moment now; later moments are greater. */
  now(): number;
  /** @param at the moment right before it was numbered */
  sent(event: EventName, sha256: string, at: number): void;
  /** Everything of a writer up to `upTo.seq` was acknowledged. Repeated calls are harmless. */
  acknowledged(upTo: EventName): void;
  refused(event: EventName, code: string): void;
  receipt(receipt: SignedReceipt): void;
}

export function createRecorder(): Recorder {
  let moment = 0;
  const sent: Ledger['sent'][number][] = [];
  const acknowledged: Ledger['acknowledged'][number][] = [];
  const refused: Ledger['refused'][number][] = [];
  const receipts: SignedReceipt[] = [];
  const acknowledgedUpTo = new Map<string, number>();
  const now = () => ++moment;
  return {
    ledger: { sent, acknowledged, refused, receipts },
    alarms: [],
    verified: [],
    now,
    sent: (event, sha256, at) => void sent.push({ ...event, sha256, at }),
    acknowledged({ student, writer, seq: upTo }) {
      const key = `${student}\n${writer}`;
      for (let seq = (acknowledgedUpTo.get(key) ?? 0) + 1; seq <= upTo; seq++) {
        acknowledged.push({ student, writer, seq, at: now() });
        acknowledgedUpTo.set(key, seq);
      }
    },
    refused: (event, code) => void refused.push({ ...event, code, at: now() }),
    receipt: (receipt) => void receipts.push(receipt),
  };
}
