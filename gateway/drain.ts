import { setTimeout as sleep } from 'node:timers/promises';
import { closeCodes, closeConnection, pause, pauses } from './connection.ts';
import type { Lobby } from './lobby.ts';
import * as records from './records.ts';
import type { Seat } from './seat.ts';
import type { ShardLink } from './shardlink.ts';

/*
 * The end of a process that is told to end (SIGTERM), so that students hardly notice and nothing accepted is lost:
 *
 * 1. Nobody new is let in; everybody is told `Closing('restart', seconds)`.
 * 2. One connection after the other, spread over `drainMs`: it is read no more, what it has under way becomes durable
 *    and is acknowledged, and it is closed with 1012. Its client comes back at another process.
 * 3. What is left in the writers becomes durable.
 *
 * Every wait is bounded: what a shard that is away keeps from becoming durable was never acknowledged either.
 */

export interface DrainParts {
  readonly lobby: Lobby;
  readonly links: readonly ShardLink[];
  readonly drainMs: number;
}

const stepMs = 20;

/** How long one connection's events may take once it is its turn, and what is left at the end. */
const seatPatienceMs = 2_000;
const writerPatienceMs = 3_000;

/** Resolves true when everything accepted is durable. Takes at most `drainMs` and some seconds. */
export async function drain({ lobby, links, drainMs }: DrainParts): Promise<boolean> {
  const seats = shuffle([...lobby.seats()]);
  lobby.tellAll(records.call('Closing', 'restart', Math.ceil(drainMs / 1_000)));
  const start = performance.now();
  const leaving: { seat: Seat; since: number }[] = [];
  for (let next = 0; next < seats.length || leaving.length > 0; ) {
    const elapsed = performance.now() - start;
    const due = drainMs === 0 ? seats.length : Math.min(seats.length, Math.ceil((elapsed / drainMs) * seats.length));
    for (; next < due; next++) {
      pause(seats[next]!.connection, pauses.drain);
      leaving.push({ seat: seats[next]!, since: elapsed });
    }
    closeQuiet(leaving, elapsed);
    if (next < seats.length || leaving.length > 0) await sleep(stepMs);
  }
  const drained = await Promise.all(links.map((link) => link.writer?.drain(writerPatienceMs) ?? true));
  return drained.every(Boolean);
}

/** Closes those who wait for nothing any more, or have waited long enough. */
function closeQuiet(leaving: { seat: Seat; since: number }[], elapsed: number): void {
  let kept = 0;
  for (const entry of leaving) {
    if (isWaiting(entry.seat) && elapsed - entry.since < seatPatienceMs) leaving[kept++] = entry;
    else closeConnection(entry.seat.connection, closeCodes.restart, 'restart');
  }
  leaving.length = kept;
}

function isWaiting(seat: Seat): boolean {
  if (seat.connection.phase !== 'ready') return false;
  return seat.waitingIds.length > 0 || seat.sentHigh > seat.toldHigh || seat.isFinishing || seat.isOpening;
}

function shuffle<T>(items: T[]): T[] {
  for (let index = items.length - 1; index > 0; index--) {
    const other = Math.floor(Math.random() * (index + 1));
    [items[index], items[other]] = [items[other]!, items[index]!];
  }
  return items;
}
