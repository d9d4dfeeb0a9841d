import type { Told } from './resume.ts';

/**
 * Where a client keeps what it numbered. The promise rests on it: an event is sent only when the outbox holds it, and
 * the outbox forgets nothing before the session is verified. Implementations: `memoryoutbox.ts`, `nodefileoutbox.ts`;
 * `test/conformance/outbox.ts` is what each must pass.
 *
 * What each implementation must keep:
 * 1. The writer id is made at random (`makeWriter`) when the outbox is first opened, and never used by another outbox.
 * 2. Texts are kept and given back unchanged, in the order of their seqs, without a gap.
 * 3. `append` resolves (or returns, when it needs no waiting) once the text survives whatever the implementation
 *    promises to survive, and it says what that is.
 * 4. When `append` fails, nothing later is taken: every later `append` rejects as well, until the outbox is opened again.
 *    A text whose append failed may or may not be there then; it was never sent.
 * 5. One client at a time: `open` rejects with Problem `outbox_in_use` while another one, in this process or in any
 *    other that can reach the same store, has it open. A holder that was killed does not hold it.
 * 6. Only `clear` forgets, all at once, and the writer with it: the next `open` begins a new outbox.
 */
export interface Outbox {
  /** Takes the outbox for one client and tells what is in it. */
  open(): Promise<OutboxContents>;
  /** Keeps the text of event `seq`, the one after the last. */
  append(seq: number, text: string): void | Promise<void>;
  /** Keeps to which session the outbox belongs. Called once, before anything is sent. */
  bind(to: Binding): Promise<void>;
  /** Keeps what the server told last. May be lazy: losing it loses an alarm, not an event. */
  tell(told: Told): void;
  /** Forgets everything: the session is verified, and every event is in it. */
  clear(): Promise<void>;
  /** Gives the outbox back, for another client to open. Repeated calls are harmless. */
  close(): Promise<void>;
}

/** @property texts the frozen events, texts[0] being seq 1; the receiver may append to the array */
export interface OutboxContents {
  readonly writer: string;
  readonly texts: string[];
  readonly binding: Binding | null;
  readonly told: Told | null;
}

/**
 * What an outbox belongs to, learnt at its first Open.
 * @property session the session's uid
 * @property student the id that the token carried
 * @property origin the chain h0 of this session, student and writer, 64 hex digits
 */
export interface Binding {
  readonly session: string;
  readonly student: string;
  readonly origin: string;
}

const writerAlphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** A new writer id: 22 characters, 132 random bits, so that no two outboxes ever share one. */
export function makeWriter(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(22));
  return Array.from(bytes, (byte) => writerAlphabet[byte & 63]).join('');
}
