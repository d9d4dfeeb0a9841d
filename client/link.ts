/**
 * Keeps one hub connected, for ever: every end is followed by another attempt after a random, growing delay, until
 * `stop()`, or until the server refused this client `refusals` times without a stable connection in between.
 *
 * resting -> (start, spread) dialling -> up -> waiting -> dialling ... ; stop() leads back to resting from everywhere.
 */
import type { Problem } from '#queue/problem.ts';
import { refusedTooOften } from './clientproblems.ts';
import { type Hub, type HubEnd, openHub } from './hub.ts';
import { causeOf, type DownCause, reconnectDelay } from './reconnect.ts';
import type { Connect } from './socket.ts';
import type { Timers } from './timers.ts';

/** The student's JWT, or how to get one: called again when the server refused the last one. */
export type TokenSource = string | (() => string | Promise<string>);

export const linkDefaults = {
  /** Refusals (mostly of the token) in a row before the link gives up. */
  refusals: 5,
  /** A connection that was in use for this long makes the next end a first one again. */
  stableMs: 5_000,
  /** How long after the announced moment an end still counts as announced by `Closing`. */
  closingSlackMs: 10_000,
} as const;

export interface LinkEvents {
  dialling(): void;
  up(hub: Hub): void;
  invocation(target: string, args: readonly unknown[]): void;
  /** Down; the next attempt is `delayMs` away. */
  waiting(delayMs: number, end: HubEnd): void;
  gaveUp(why: Problem): void;
}

export interface LinkOptions {
  readonly url: string;
  readonly token: TokenSource;
  readonly connect: Connect;
  readonly timers: Timers;
  readonly random: () => number;
  /** The first attempt is made at a random moment within this time, in ms. */
  readonly spreadMs: number;
  readonly events: LinkEvents;
}

export interface Link {
  /** Starts, when it rests. */
  start(): void;
  /** The connection is in use: the server answered Open. */
  confirm(): void;
  /** The server announced that it will close this connection within `ms`. */
  expectEnd(ms: number): void;
  /** Gives this connection up and tries again as after an end of this cause. */
  retry(cause: DownCause, why: string): void;
  /** Ends the connection and all attempts; resolves when the socket is closed. `start()` begins anew. */
  stop(): Promise<void>;
}

export function createLink({ url, token, connect, timers, random, spreadMs, events }: LinkOptions): Link {
  let running = false;
  /** Counts starts, stops and attempts: what belongs to an older one is ignored. */
  let turn = 0;
  let hub: Hub | null = null;
  let wasUp = false;
  let cachedToken: string | null = null;
  let attempt = 0;
  let refusals = 0;
  let confirmedAt = Number.POSITIVE_INFINITY;
  let expectedUntil = 0;
  let forcedCause: DownCause | null = null;
  let cancelWait = (): void => {};
  /** Resolves when the last hub is down. */
  let down = Promise.resolve();

  async function dial(): Promise<void> {
    const mine = ++turn;
    events.dialling();
    try {
      cachedToken ??= typeof token === 'string' ? token : await token();
    } catch (error) {
      if (mine === turn) wait('lost', { code: 1006, reason: `no token: ${String(error)}`, error: null });
      return;
    }
    if (mine !== turn) return;
    wasUp = false;
    forcedCause = null;
    confirmedAt = Number.POSITIVE_INFINITY;
    const { promise, resolve } = Promise.withResolvers<void>();
    down = promise;
    const current = openHub({
      url,
      token: cachedToken,
      connect,
      timers,
      events: {
        up() {
          wasUp = true;
          if (mine === turn) events.up(current);
        },
        invocation(target, args) {
          if (mine === turn) events.invocation(target, args);
        },
        down(end) {
          resolve();
          if (mine === turn) ended(end);
        },
      },
    });
    hub = current;
  }

  function ended(end: HubEnd): void {
    hub = null;
    const now = performance.now();
    if (now - confirmedAt >= linkDefaults.stableMs) {
      attempt = 0;
      refusals = 0;
    }
    const cause = forcedCause ?? causeOf(end, now < expectedUntil);
    expectedUntil = 0;
    // Browsers hide the status of a refused upgrade, so a failed attempt may have been about the token.
    if (cause === 'refused' || (!wasUp && end.status === undefined)) cachedToken = null;
    if (cause === 'refused' && ++refusals >= linkDefaults.refusals) giveUp(end);
    else wait(cause, end);
  }

  function wait(cause: DownCause, end: HubEnd): void {
    const delayMs = reconnectDelay(cause, attempt++, random(), end.retryAfterMs);
    cancelWait = timers.after(delayMs, () => void dial());
    events.waiting(delayMs, end);
  }

  function giveUp(end: HubEnd): void {
    running = false;
    events.gaveUp(refusedTooOften(refusals, howItEnded(end)));
  }

  return {
    start() {
      if (running) return;
      running = true;
      attempt = 0;
      refusals = 0;
      cancelWait = timers.after(random() * spreadMs, () => void dial());
    },
    confirm() {
      confirmedAt = performance.now();
    },
    expectEnd(ms) {
      expectedUntil = performance.now() + ms + linkDefaults.closingSlackMs;
    },
    retry(cause, why) {
      forcedCause = cause;
      hub?.drop(why);
    },
    stop() {
      running = false;
      turn++;
      cancelWait();
      hub?.close();
      hub = null;
      return down;
    },
  };
}

/** How a connection ended, in the words of whoever ended it. */
export function howItEnded({ error, reason, code, status }: HubEnd): string {
  const words = error ?? (reason === '' ? `close code ${code}` : reason);
  return status === undefined ? words : `HTTP ${status} ${words}`;
}
