import { formatState, type State } from './chain.ts';
import { packedBytes, packInto } from './codec.ts';
import type { LaneRecord } from './lane.ts';
import { limits } from './limits.ts';

/**
 * Events of many lanes on their way to the log, packed when they are accepted: the caller's buffers are not kept. A
 * batch is filled, sent, perhaps trimmed and sent again, and emptied to be filled anew.
 */
export interface Batch {
  bytes: Buffer;
  length: number;
  /** Events in it; of each, the place of its lane, and when it was received (ms since 1970). */
  count: number;
  places: Uint16Array;
  receivedAts: Float64Array;
  /** By place: the lane, its epoch when the events came, their first seq, the state after the last, their late flag. */
  readonly lanes: LaneRecord[];
  readonly epochs: number[];
  readonly firsts: number[];
  readonly afters: State[];
  readonly lates: boolean[];
}

const firstBytes = 16_384;
const firstEvents = 256;

export function createBatch(): Batch {
  return {
    bytes: Buffer.allocUnsafeSlow(firstBytes),
    length: 0,
    count: 0,
    places: new Uint16Array(firstEvents),
    receivedAts: new Float64Array(firstEvents),
    lanes: [],
    epochs: [],
    firsts: [],
    afters: [],
    lates: [],
  };
}

/** Makes a batch empty. It keeps its memory. */
export function emptyBatch(batch: Batch): void {
  batch.length = batch.count = 0;
  batch.lanes.length = batch.epochs.length = batch.firsts.length = batch.afters.length = batch.lates.length = 0;
}

/** Packs the event that is the lane's head, or says that the batch has no room for it: the caps of the append script. */
export function addEvent(batch: Batch, lane: LaneRecord, payload: Buffer, receivedAt: number): boolean {
  const hasPlace = batch.lanes[lane.slot] === lane && batch.epochs[lane.slot] === lane.epoch;
  const end = batch.length + packedBytes(lane.packedHead, payload);
  if (end > limits.batchBytes || batch.count === limits.batchEvents) return false;
  if (!hasPlace) {
    if (batch.lanes.length === limits.batchWriters) return false;
    takePlace(batch, lane);
  }
  if (end > batch.bytes.length || batch.count === batch.places.length) grow(batch, end);
  const { head, slot } = lane;
  packInto(batch.bytes, batch.length, lane.packedHead, head.seq, receivedAt, batch.lates[slot]!, payload);
  batch.places[batch.count] = slot;
  batch.receivedAts[batch.count] = receivedAt;
  batch.afters[slot] = head;
  batch.length = end;
  batch.count += 1;
  return true;
}

function takePlace(batch: Batch, lane: LaneRecord): void {
  lane.slot = batch.lanes.length;
  batch.lanes.push(lane);
  batch.epochs.push(lane.epoch);
  batch.firsts.push(lane.head.seq);
  batch.afters.push(lane.head);
  batch.lates.push(lane.late);
}

function grow(batch: Batch, end: number): void {
  if (end > batch.bytes.length) {
    const bytes = Buffer.allocUnsafeSlow(Math.min(limits.batchBytes, Math.max(end, 2 * batch.bytes.length)));
    batch.bytes.copy(bytes, 0, 0, batch.length);
    batch.bytes = bytes;
  }
  if (batch.count === batch.places.length) {
    const events = Math.min(limits.batchEvents, 2 * batch.count);
    const { places, receivedAts } = batch;
    batch.places = new Uint16Array(events);
    batch.places.set(places);
    batch.receivedAts = new Float64Array(events);
    batch.receivedAts.set(receivedAts);
  }
}

/**
 * Prepares a batch to be sent: takes out events that are void or durable by now, and gives the others the late flag
 * that their lanes have now. Only between definite answers: a repeat must be the same bytes.
 * A trimmed batch takes no more events: the queue has given it out to fly, and lanes know their place in the next one.
 */
export function trimBatch(batch: Batch): void {
  const isStale = batch.lanes.some(
    (lane, slot) =>
      batch.epochs[slot] !== lane.epoch ||
      batch.lates[slot] !== lane.late ||
      batch.firsts[slot] !== lane.durable.seq + 1,
  );
  if (isStale) repack(batch);
}

const seqAt = 11;
const flagsAt = 4;

function repack(batch: Batch): void {
  const moved = placesAfterTrim(batch);
  let [from, length, count] = [0, 0, 0];
  for (let i = 0; i < batch.count; i++) {
    const end = from + 4 + batch.bytes.readUInt32BE(from);
    const slot = moved[batch.places[i]!]!;
    if (slot >= 0 && batch.bytes.readUInt32BE(from + seqAt) >= batch.firsts[slot]!) {
      batch.bytes.copyWithin(length, from, end);
      batch.bytes[length + flagsAt] = batch.lates[slot] ? 1 : 0;
      batch.places[count] = slot;
      batch.receivedAts[count] = batch.receivedAts[i]!;
      length += end - from;
      count += 1;
    }
    from = end;
  }
  batch.length = length;
  batch.count = count;
}

/** Closes the ranks of the lanes that still have events here. Gives, by old place, the new one; -1: has none. */
function placesAfterTrim(batch: Batch): Int32Array {
  const moved = new Int32Array(batch.lanes.length).fill(-1);
  let kept = 0;
  for (let slot = 0; slot < moved.length; slot++) {
    const lane = batch.lanes[slot]!;
    const after = batch.afters[slot]!;
    if (batch.epochs[slot] !== lane.epoch || after.seq <= lane.durable.seq) continue;
    if (batch.firsts[slot]! > lane.durable.seq + 1) {
      throw new Error(`defect: events of "${lane.student}" after ${lane.durable.seq} are in no batch`);
    }
    moved[slot] = kept;
    batch.lanes[kept] = lane;
    batch.epochs[kept] = lane.epoch;
    batch.firsts[kept] = lane.durable.seq + 1;
    batch.afters[kept] = after;
    batch.lates[kept] = lane.late;
    kept += 1;
  }
  batch.lanes.length = batch.epochs.length = batch.firsts.length = batch.afters.length = batch.lates.length = kept;
  return moved;
}

/** What the append script wants to know of each lane: student, writer, before, after, late. */
export function describeWriters(batch: Batch): string[] {
  const args = new Array<string>(5 * batch.lanes.length);
  for (let slot = 0, i = 0; slot < batch.lanes.length; slot++) {
    const lane = batch.lanes[slot]!;
    args[i++] = lane.student;
    args[i++] = lane.writer;
    args[i++] = formatState(lane.durable);
    args[i++] = formatState(batch.afters[slot]!);
    args[i++] = batch.lates[slot] ? '1' : '0';
  }
  return args;
}
