import type { Logger } from 'pino';
import { isProblem } from '#queue/problem.ts';
import { readDeadline, readSession } from '#queue/session.ts';
import type { SessionState } from '#queue/sessionfields.ts';
import { send } from './connection.ts';
import * as records from './records.ts';
import type { Seat } from './seat.ts';
import type { ShardLink } from './shardlink.ts';

export interface SessionWatch {
  /** Says to a client that has just opened what the others were told before. */
  greet(seat: Seat): void;
  stop(): void;
}

const everyMs = 1_000;

/** Students whose own deadlines are asked for at once. */
const deadlineChunk = 500;

/** Phases after which nothing more is taken. */
const closingPhases: readonly SessionState['phase'][] = ['Draining', 'Exporting', 'Completed', 'Failed'];

/**
 * Asks each shard's Redis every second how the session stands, and tells the students of the shard what changed. A
 * shard that cannot be asked is asked again a second later; until then what it said last holds.
 */
export function watchSession(links: readonly ShardLink[], log: Logger): SessionWatch {
  const stop = new AbortController();
  for (const link of links) void watchLink(link, log, stop.signal);
  return { greet, stop: () => stop.abort() };
}

async function watchLink(link: ShardLink, log: Logger, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await link.shard.ready(everyMs);
      await look(link);
    } catch (error) {
      const known = isProblem(error) ? error : null;
      // The shard itself says in the log that it is away.
      if (known?.code !== 'shard_not_ready') {
        log.warn(
          { shard: link.index, ...(known ? { code: known.code, why: known.message } : { err: error }) },
          'the session could not be read',
        );
      }
    }
    await pauseFor(everyMs, signal);
  }
}

function pauseFor(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
    function done() {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
  });
}

async function look(link: ShardLink): Promise<void> {
  const before = link.session;
  const now = await readSession(link.shard);
  link.session = now;
  const text = newsBetween(before, now, Date.now());
  if (text !== '') for (const seat of link.seats) if (seat.writer !== null) send(seat.connection, text);
  if (before?.closesAt !== now.closesAt || before.deadlinesVersion !== now.deadlinesVersion) {
    await tellDeadlines(link, now);
  }
}

/** What every student of a shard is to be told, as records; empty: nothing. Pure. */
export function newsBetween(before: SessionState | null, now: SessionState, at: number): string {
  let text = '';
  if (now.notice !== null && now.notice !== before?.notice) text += records.call('Announcement', now.notice);
  const isClosing = closingPhases.includes(now.phase);
  const wasClosing = before !== null && closingPhases.includes(before.phase);
  if (isClosing && (!wasClosing || before.drainUntil !== now.drainUntil)) text += closing(now, at);
  if (now.verified !== null && now.verified !== before?.verified) text += records.call('Verified', now.verified);
  return text;
}

function closing(now: SessionState, at: number): string {
  const seconds = now.phase === 'Draining' ? Math.max(0, Math.ceil(((now.drainUntil ?? at) - at) / 1_000)) : 0;
  return records.call('Closing', 'finalizing', seconds);
}

function greet(seat: Seat): void {
  const { session } = seat.link;
  if (!session) return;
  const text = newsBetween(null, session, Date.now());
  if (text !== '') send(seat.connection, text);
}

async function tellDeadlines(link: ShardLink, session: SessionState): Promise<void> {
  const seats = [...link.seats].filter((seat) => seat.deadline !== undefined);
  for (let at = 0; at < seats.length; at += deadlineChunk) {
    const chunk = seats.slice(at, at + deadlineChunk);
    const own = await Promise.all(chunk.map((seat) => readDeadline(link.shard, seat.student.id)));
    chunk.forEach((seat, index) => {
      const deadline = own[index] ?? session.closesAt;
      if (deadline === seat.deadline) return;
      seat.deadline = deadline;
      send(seat.connection, records.call('Deadline', deadline));
    });
  }
}
