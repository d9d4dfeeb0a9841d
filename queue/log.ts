import { hash } from 'node:crypto';
import { zstdDecompressSync } from 'node:zlib';
import { eventHead, type QueueEvent, unpackEvents } from './codec.ts';
import type { Shard } from './connect.ts';
import { entryTime } from './entryid.ts';
import { emptyDigest, entryCodecs, entryFields, keys, stateFields } from './keys.ts';
import { limits } from './limits.ts';
import { checkLog, corruptLog, type EntryHead, type LogExpectation } from './logcheck.ts';
import { problem } from './problem.ts';

/** One batch of the log. */
export interface LogEntry {
  readonly id: string;
  /** When its events became durable: ms since 1970, Redis's clock. */
  readonly durableAt: number;
  /** In log order. Payloads share memory: copy what is to outlive the entry. */
  readonly events: QueueEvent[];
}

export interface ReadLogOptions {
  /** Begin after this entry. Then the sums over all batches cannot be checked, only each entry's own. */
  readonly after?: string;
  /** Insist on the whole, sealed log: Problem `log_not_sealed`, before the first entry, when there is no seal. */
  readonly untilSeal?: boolean;
  /** Bytes of one reply of Redis to aim for; 4 MiB when left out. A reply has at most {@link maxPageEntries} entries. */
  readonly pageBytes?: number;
}

/** A batch is at most 1 MiB, so this bounds a page's memory whatever the sizes of the entries before it were. */
const maxPageEntries = 64;

const defaultPageBytes = 4 * limits.batchBytes;

/** A page may wait behind a busy disk. */
const pageTimeoutMs = 30_000;

/**
 * Reads the log in order, up to its seal, or to where it ended when the reading began. Each entry's digest and count are checked, and the
 * running digest and the sum against the seal and against `state`: whatever is missing, doubled, reordered or changed
 * is Problem `log_corrupt`, at the latest at the end. Memory is bounded by a page.
 */
export async function* readLog(shard: Shard, options: ReadLogOptions = {}): AsyncGenerator<LogEntry, void, undefined> {
  const expected = await readExpectation(shard);
  if (options.untilSeal && expected.sealId === null) throw notSealed(shard.identity.shard);
  const check = checkLog(expected, options.after ?? null);
  // Of a sealed log everything is read, to find what follows the seal; of another, not what comes meanwhile.
  const end = expected.sealId === null && expected.lastId !== null ? expected.lastId : '+';
  for await (const entry of readEntries(shard, options, end)) {
    check.entry(entry);
    if (entry.codec === entryCodecs.seal) continue;
    yield { id: entry.id, durableAt: entryTime(entry.id), events: openEntry(entry) };
  }
  check.end();
}

/** Newest first, this many entries a page: what is looked for is nearly always recent. */
const backwardEntries = 16;

/**
 * Looks for one event from the end of the log backwards, and returns its payload (a copy), or null when it is not
 * among the newest `maxEntries` entries. To tell a repeat from a fork when a lane no longer remembers.
 */
export async function findEvent(
  shard: Shard,
  student: string,
  writer: string,
  seq: number,
  options: { readonly maxEntries: number },
): Promise<Buffer | null> {
  for await (const own of readBackward(shard, student, writer, options.maxEntries)) {
    const found = own.find((event) => event.seq === seq);
    if (found) return Buffer.from(found.payload);
    if (own.some((event) => event.seq < seq)) return null;
  }
  return null;
}

/**
 * Compares a run of events, seqs from `firstSeq` on, with the newest `maxEntries` entries of the log: `same` when every
 * one of them is there with these bytes, `other` when one is there with other bytes, `unknown` when one is not there.
 */
export async function compareEvents(
  shard: Shard,
  student: string,
  writer: string,
  firstSeq: number,
  payloads: readonly Buffer[],
  options: { readonly maxEntries: number },
): Promise<'same' | 'other' | 'unknown'> {
  let left = payloads.length;
  for await (const own of readBackward(shard, student, writer, options.maxEntries)) {
    for (const { seq, payload } of own) {
      const given = payloads[seq - firstSeq];
      if (!given) continue;
      if (!given.equals(payload)) return 'other';
      left--;
    }
    if (left === 0) return 'same';
    if (own.some((event) => event.seq < firstSeq)) break;
  }
  return left === 0 ? 'same' : 'unknown';
}

/**
 * The events of one writer, an entry at a time, newest entry first; entries without any are left out. A writer's
 * events stand in order, so what follows has lower seqs only.
 */
async function* readBackward(
  shard: Shard,
  student: string,
  writer: string,
  maxEntries: number,
): AsyncGenerator<QueueEvent[], void, undefined> {
  const head = eventHead(student, writer);
  let before = '+';
  for (let left = maxEntries; left > 0; left -= backwardEntries) {
    const count = Math.min(left, backwardEntries);
    const page = await shard.run(
      (redis) => redis.xrevrangeBuffer(keys.events, before, '-', 'COUNT', count),
      pageTimeoutMs,
    );
    for (const raw of page as RawEntry[]) {
      const entry = readEntry(raw);
      before = `(${entry.id}`;
      if (entry.codec === entryCodecs.raw && !entry.batch.includes(head)) continue;
      if (entry.codec === entryCodecs.seal) continue;
      const own = openEntry(entry).filter((event) => event.student === student && event.writer === writer);
      if (own.length > 0) yield own;
    }
    if (page.length < count) return;
  }
}

/** An entry as ioredis gives it: its id, then names and values in turn. */
type RawEntry = readonly [id: Buffer, fields: readonly Buffer[]];

interface Entry extends EntryHead {
  readonly batch: Buffer;
}

async function readExpectation(shard: Shard): Promise<LogExpectation> {
  const { lastId, sealId, events, digest } = stateFields;
  const state = await shard.run((redis) => redis.hmget(keys.state, lastId, sealId, events, digest));
  return {
    lastId: state[0] ?? null,
    sealId: state[1] ?? null,
    events: Number(state[2] ?? 0),
    digest: state[3] ?? emptyDigest,
  };
}

/** Pages through the stream. How many entries a page asks for follows from the sizes in the page before. */
async function* readEntries(
  shard: Shard,
  options: ReadLogOptions,
  end: string,
): AsyncGenerator<Entry, void, undefined> {
  const pageBytes = options.pageBytes ?? defaultPageBytes;
  let start = options.after === undefined ? '-' : `(${options.after}`;
  for (let count = 4; ; ) {
    const asked = count;
    const page = await shard.run((redis) => redis.xrangeBuffer(keys.events, start, end, 'COUNT', asked), pageTimeoutMs);
    let largest = 1;
    for (const raw of page as RawEntry[]) {
      const entry = readEntry(raw);
      start = `(${entry.id}`;
      largest = Math.max(largest, entry.batch.length);
      yield entry;
    }
    if (page.length < asked) return;
    count = Math.max(1, Math.min(maxPageEntries, 2 * asked, Math.floor(pageBytes / largest)));
  }
}

function readEntry([idBytes, fields]: RawEntry): Entry {
  const id = idBytes.toString();
  const values = new Map<string, Buffer>();
  for (let i = 0; i + 1 < fields.length; i += 2) values.set(fields[i]!.toString(), fields[i + 1]!);
  const text = (name: string) => values.get(name)?.toString() ?? '';
  const batch = values.get(entryFields.batch);
  if (!batch) throw corruptLog(id, 'holds no batch');
  const total = values.get(entryFields.total);
  return {
    id,
    batch,
    codec: text(entryFields.codec),
    count: Number(text(entryFields.count)),
    digest: text(entryFields.digest),
    total: total ? Number(total.toString()) : null,
  };
}

/** The events of an entry, checked against its digest and count. */
function openEntry(entry: Entry): QueueEvent[] {
  const batch = decompress(entry);
  if (hash('sha256', batch, 'hex') !== entry.digest) throw corruptLog(entry.id, 'does not have its digest');
  const events = unpackEvents(batch);
  if (events.length !== entry.count) throw corruptLog(entry.id, `has ${events.length} events, not ${entry.count}`);
  return events;
}

function decompress({ id, codec, batch }: Entry): Buffer {
  if (codec === entryCodecs.raw) return batch;
  if (codec !== entryCodecs.zstd) throw corruptLog(id, `has the unknown codec "${codec.slice(0, 20)}"`);
  try {
    return zstdDecompressSync(batch, { maxOutputLength: limits.batchBytes });
  } catch (error) {
    throw corruptLog(id, 'cannot be decompressed', error);
  }
}

function notSealed(shard: number) {
  return problem(
    'log_not_sealed',
    `shard ${shard} is not sealed: its log may still grow`,
    'Export after the operator has sealed the session (spec.phase: Finalizing).',
  );
}
