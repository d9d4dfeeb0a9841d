import { hash } from 'node:crypto';
import { lengthPrefixed } from './lengthprefix.ts';
import { limits } from './limits.ts';
import { problem } from './problem.ts';

/** Where a writer stands: the number of its last event (0: none) and the chain over all of them, 64 hex digits. */
export interface State {
  readonly seq: number;
  readonly chain: string;
}

const chainBytes = 32;
const chainPattern = /^[0-9a-f]{64}$/;
const statePattern = /^(0|[1-9][0-9]{0,15}):([0-9a-f]{64})$/;

/** One hash at a time runs in a thread, so all of them share the place where chain and payload meet. */
const scratch = Buffer.allocUnsafeSlow(chainBytes + limits.payloadBytes);

/** h0: the chain of a writer without events. It binds the chain to the session, so no other session's repeats fit. */
export function originChain(uid: string, student: string, writer: string): string {
  return hash('sha256', lengthPrefixed(uid, student, writer), 'hex');
}

/**
 * hn from hn-1 and the payload bytes of event n. Hex in and out: measured, `crypto.hash` to hex is four times as fast
 * as to a Buffer, and strings compare with `===`.
 * @param chain a chain made here or parsed by {@link parseState}
 * @param payload at most `limits.payloadBytes`; a longer one throws RangeError
 */
export function nextChain(chain: string, payload: Uint8Array): string {
  if (scratch.write(chain, 0, chainBytes, 'hex') !== chainBytes) throw new RangeError('not a chain: 64 hex digits');
  scratch.set(payload, chainBytes);
  return hash('sha256', scratch.subarray(0, chainBytes + payload.length), 'hex');
}

/** Tells whether a text is a chain: 64 lower-case hex digits. */
export function isChain(text: string): boolean {
  return chainPattern.test(text);
}

/** The durable form of a state: `seq:chain`. */
export function formatState(state: State): string {
  return `${state.seq}:${state.chain}`;
}

/** Reads `seq:chain`. Anything else is Problem `state_corrupt`: it was stored, so it must be one. */
export function parseState(text: string): State {
  const match = statePattern.exec(text);
  const seq = Number(match?.[1]);
  if (!match || !Number.isSafeInteger(seq)) {
    throw problem(
      'state_corrupt',
      `"${text.slice(0, 100)}" is not a writer's state (seq:chain)`,
      'Something else than Untradex wrote to this Redis: find out what, and do not serve from it.',
    );
  }
  return { seq, chain: match[2]! };
}
