import { addEvent, type Batch, createBatch, emptyBatch } from './batch.ts';
import type { LaneRecord } from './lane.ts';

/** The batches that wait to be sent: full ones in a row, and one that grows. Bounded by whoever offers. */
export interface BatchQueue {
  /** What waits or flies. Bytes are packed ones. */
  readonly events: number;
  readonly bytes: number;
  /** Packs the event that is the lane's head. */
  add(lane: LaneRecord, payload: Buffer, receivedAt: number): void;
  /** Takes the oldest batch out, to be sent; null when there is nothing. It counts until it is `done`. */
  take(): Batch | null;
  /** To be told when a taken batch has become smaller. */
  trimmed(events: number, bytes: number): void;
  /** Takes back a batch that is answered. */
  done(batch: Batch): void;
  /** Drops everything that waits. */
  clear(): void;
}

/** Empty batches that are kept to be filled again: one flies, one grows, one is full. */
const spareBatches = 3;

export function createBatchQueue(): BatchQueue {
  const row: Batch[] = [];
  const spare: Batch[] = [];
  let growing = createBatch();
  let [events, bytes] = [0, 0];

  function next(): Batch {
    return spare.pop() ?? createBatch();
  }

  return {
    get events() {
      return events;
    },
    get bytes() {
      return bytes;
    },
    add(lane, payload, receivedAt) {
      const length = growing.length;
      if (addEvent(growing, lane, payload, receivedAt)) {
        bytes += growing.length - length;
      } else {
        row.push(growing);
        growing = next();
        addEvent(growing, lane, payload, receivedAt);
        bytes += growing.length;
      }
      events += 1;
    },
    take() {
      const full = row.shift();
      if (full) return full;
      if (growing.count === 0) return null;
      const batch = growing;
      growing = next();
      return batch;
    },
    trimmed(lessEvents, lessBytes) {
      events -= lessEvents;
      bytes -= lessBytes;
    },
    done(batch) {
      events -= batch.count;
      bytes -= batch.length;
      emptyBatch(batch);
      if (spare.length < spareBatches) spare.push(batch);
    },
    clear() {
      for (const batch of [...row.splice(0), growing]) {
        events -= batch.count;
        bytes -= batch.length;
      }
      emptyBatch(growing);
    },
  };
}
