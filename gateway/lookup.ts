import { createBucket, tryTake } from '#queue/bucket.ts';
import { nextChain, originChain } from '#queue/chain.ts';
import { compareEvents } from '#queue/log.ts';
import type { Lane } from '#queue/shardwriter.ts';
import type { ShardLink } from './shardlink.ts';
import type { Student } from './students.ts';

/** What the log says of repeated events. `unknown`: not found within the bound, or too much was asked. */
export type Found = 'same' | 'other' | 'unknown';

export interface Lookups {
  /** Compares a run of repeats, seqs from `firstSeq` on, all of them durable, with what the shard has. Never rejects. */
  find(link: ShardLink, student: Student, lane: Lane, firstSeq: number, payloads: readonly Buffer[]): Promise<Found>;
}

/** Entries of the log (batches) that one comparison reads, from the newest back. */
const maxEntries = 500;

/** Comparisons that may wait; and of a process in a second, and at once: each may read many MiB. */
const maxWaiting = 256;
const perSecond = 5;
const burst = 100;

/**
 * Compares repeats that no lane remembers. Rare: a client learns at Open what is durable and has no reason to send it
 * again. It reads the log, so it is rationed: one at a time in a process, few a student, a bounded part of the log.
 */
export function createLookups(): Lookups {
  const ration = createBucket(perSecond, burst, Date.now());
  let waiting = 0;
  let last: Promise<unknown> = Promise.resolve();

  return {
    async find(link, student, lane, firstSeq, payloads) {
      const { seq, chain } = lane.durable;
      // A whole history, as an outbox that was rescued to a file sends: the chain alone tells.
      if (firstSeq === 1 && payloads.length === seq)
        return chainOver(link, lane, payloads) === chain ? 'same' : 'other';
      const now = Date.now();
      if (waiting >= maxWaiting || !tryTake(student.lookups, now) || !tryTake(ration, now)) return 'unknown';
      waiting++;
      const found = last.then(() => compare(link, lane, firstSeq, payloads));
      last = found;
      return found.finally(() => waiting--);
    },
  };
}

function chainOver(link: ShardLink, lane: Lane, payloads: readonly Buffer[]): string {
  return payloads.reduce(nextChain, originChain(link.shard.identity.uid, lane.student, lane.writer));
}

async function compare(link: ShardLink, lane: Lane, firstSeq: number, payloads: readonly Buffer[]): Promise<Found> {
  try {
    return await compareEvents(link.shard, lane.student, lane.writer, firstSeq, payloads, { maxEntries });
  } catch {
    // A shard that cannot be asked now: nobody knows.
    return 'unknown';
  }
}
