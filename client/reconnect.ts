/**
 * When to connect again: pure arithmetic. Every delay is random over its whole range ("full jitter"), because what
 * throws one student out mostly throws out thousands at the same moment.
 */
import type { SocketEnd } from './socket.ts';

/** Why the connection is down, as far as the next attempt cares. */
export type DownCause =
  /** A gateway said that it goes (1012, or `Closing` before): another one is there already. */
  | 'restart'
  /** It broke: a crash, a network. */
  | 'lost'
  /** The server asks for patience: 1013, or HTTP 429 or 503. */
  | 'busy'
  /** The server does not want this client, mostly for its token: 1008, or HTTP 401 or 403. */
  | 'refused';

/** Ranges of the random delays in ms. The attempt counts from 0; ranges double with each up to `most`. */
export const reconnectDefaults = {
  restart: { first: 1_000, most: 15_000 },
  lost: { first: 500, most: 15_000 },
  busy: { first: 2_000, most: 60_000 },
  refused: { first: 1_000, most: 15_000 },
} as const satisfies Record<DownCause, { first: number; most: number }>;

/** @param expected whether a `Closing` had announced this end: then the code does not matter */
export function causeOf(end: SocketEnd, expected: boolean): DownCause {
  if (end.status === 401 || end.status === 403 || end.code === 1008) return 'refused';
  if (end.status === 429 || end.status === 503 || end.code === 1013) return 'busy';
  return expected || end.code === 1012 ? 'restart' : 'lost';
}

/**
 * Delay in ms before the next attempt.
 * @param attempt attempts since the last stable connection, from 0 on
 * @param random uniform in [0, 1)
 * @param retryAfterMs the server's own wish: a floor, with jitter added above it
 */
export function reconnectDelay(cause: DownCause, attempt: number, random: number, retryAfterMs = 0): number {
  const { first, most } = reconnectDefaults[cause];
  const range = Math.min(most, first * 2 ** Math.min(attempt, 16));
  return Math.min(retryAfterMs, maxRetryAfterMs) + random * range;
}

/** What a server can make a client wait at most. */
const maxRetryAfterMs = 120_000;
