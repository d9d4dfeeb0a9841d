/** What the server answers and tells, checked before anything believes it. */
import { unreadable } from './clientproblems.ts';

/** The answer to Open. */
export interface Opened {
  /** Everything up to here is durable. */
  readonly durableSeq: number;
  /** The chain at `durableSeq`. */
  readonly chain: string;
  readonly incarnation: string;
  /** The session's uid. */
  readonly session: string;
  /** The student that the token named. */
  readonly student: string;
  /** ms since 1970 by the server's clock. */
  readonly serverTime: number;
  /** When this student's time is over, in ms since 1970 by the server's clock; null for no limit. */
  readonly deadline: number | null;
  readonly phase: string;
  /** With what this student finished the exam, on whichever device; null while it goes on. */
  readonly finished: { readonly writer: string; readonly lastSeq: number; readonly time: number } | null;
}

/** The answer to Finish. `receipt` is signed by the session's key; whoever has the public key can check it. */
export interface Receipt {
  readonly lastSeq: number;
  readonly chain: string;
  /** ms since 1970. */
  readonly time: number;
  readonly receipt: unknown;
}

/** What the server tells by itself. */
export type ServerMessage =
  | { readonly kind: 'durable'; readonly seq: number }
  | { readonly kind: 'resend'; readonly seq: number }
  | { readonly kind: 'refused'; readonly code: string }
  | { readonly kind: 'deadline'; readonly deadline: number | null }
  | { readonly kind: 'closing'; readonly reason: string; readonly seconds: number }
  | { readonly kind: 'superseded' }
  | { readonly kind: 'announcement'; readonly text: string }
  | { readonly kind: 'verified'; readonly root: string }
  | { readonly kind: 'unreadable'; readonly what: unknown }
  | { readonly kind: 'unknown' };

/** Problem `protocol` when it is no answer to Open. */
export function readOpened(value: unknown): Opened {
  const answer = fields(value);
  const { durableSeq, chain, incarnation, session, student, serverTime, deadline, phase, finished } = answer;
  const texts = [chain, incarnation, session, student, phase].every((text) => typeof text === 'string');
  if (!texts || !isSeq(durableSeq) || !isTime(serverTime) || !isDeadline(deadline)) throw unreadable(value);
  if (finished !== null && typeof finished !== 'object') throw unreadable(value);
  return { durableSeq, chain, incarnation, session, student, serverTime, deadline, phase, finished } as Opened;
}

/** Problem `protocol` when it is no answer to Finish. */
export function readReceipt(value: unknown): Receipt {
  const { lastSeq, chain, time, receipt } = fields(value);
  if (!isSeq(lastSeq) || typeof chain !== 'string' || !isTime(time)) throw unreadable(value);
  return { lastSeq, chain, time, receipt };
}

/** Reads an invocation by the server. Targets that are not known come from a newer server and mean nothing here. */
export function readServerMessage(target: string, args: readonly unknown[]): ServerMessage {
  const [first, second] = args;
  if (target === 'Durable' && isSeq(first)) return { kind: 'durable', seq: first };
  if (target === 'Resend' && isSeq(first)) return { kind: 'resend', seq: first };
  if (target === 'Refused' && typeof first === 'string') return { kind: 'refused', code: first };
  if (target === 'Deadline' && isDeadline(first)) return { kind: 'deadline', deadline: first };
  if (target === 'Closing' && typeof first === 'string' && isTime(second)) {
    return { kind: 'closing', reason: first, seconds: second };
  }
  if (target === 'Superseded') return { kind: 'superseded' };
  if (target === 'Announcement' && typeof first === 'string') return { kind: 'announcement', text: first };
  if (target === 'Verified' && typeof first === 'string') return { kind: 'verified', root: first };
  return knownTargets.includes(target) ? { kind: 'unreadable', what: { target, args } } : { kind: 'unknown' };
}

const knownTargets = ['Durable', 'Resend', 'Refused', 'Deadline', 'Closing', 'Announcement', 'Verified'];

function fields(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function isSeq(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}

function isDeadline(value: unknown): value is number | null {
  return value === null || isTime(value);
}
