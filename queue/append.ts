import { hash } from 'node:crypto';
import type { Shard } from './connect.ts';
import { readReply, unknownReply } from './reply.ts';
import { callScript, scripts } from './script.ts';

/** How a writer's share of a batch was refused (PROTOCOL.md, "Scripts"). */
export const offences = ['ahead', 'behind', 'forked', 'finished', 'quota', 'late', 'ontime'] as const;
export type Offence = (typeof offences)[number];

/** One writer that kept a batch from being appended. `state` is the durable one as text; `0:` when there is none. */
export interface Offender {
  /** Place of the writer in the batch, from 0. */
  readonly index: number;
  readonly kind: Offence;
  readonly state: string;
}

export type AppendReply =
  | { readonly kind: 'ok'; readonly entryId: string }
  | { readonly kind: 'refused'; readonly offenders: readonly Offender[] }
  | { readonly kind: 'sealed' }
  | { readonly kind: 'full' };

/** A batch as it goes to Redis. A repeat must be the same bytes and the same arguments. */
export interface AppendBatch {
  readonly bytes: Buffer;
  readonly codec: 'raw' | 'zstd';
  /** How many events. */
  readonly count: number;
  /** SHA-256, hex, of the bytes before compression. */
  readonly digest: string;
  /** For each writer: student, writer, before (seq:chain), after (seq:chain), late (`0` or `1`). */
  readonly writers: readonly string[];
}

/** Describes a batch that is not compressed. */
export function rawBatch(bytes: Buffer, count: number, writers: readonly string[]): AppendBatch {
  return { bytes, codec: 'raw', count, digest: hash('sha256', bytes, 'hex'), writers };
}

/**
 * Appends one batch: all of it or nothing. Resolves with a definite answer; a rejection says nothing about whether it
 * was appended, so the same batch is to be repeated until there is an answer.
 */
export async function append(shard: Shard, batch: AppendBatch): Promise<AppendReply> {
  const args = [shard.identity.incarnation, batch.bytes, batch.codec, String(batch.count), batch.digest];
  return shard.run(async (redis) =>
    readAppendReply(await callScript(redis, scripts.append, args.concat(batch.writers))),
  );
}

function readAppendReply(reply: unknown): AppendReply {
  const [word, ...rest] = readReply(reply);
  if (word === 'ok' && rest[0] !== undefined) return { kind: 'ok', entryId: rest[0] };
  if (word === 'refused' && rest.length > 0) return { kind: 'refused', offenders: readOffenders(rest) };
  if (word === 'sealed' || word === 'full') return { kind: word };
  throw unknownReply(reply);
}

function readOffenders(flat: readonly string[]): Offender[] {
  const offenders: Offender[] = [];
  for (let i = 0; i < flat.length; i += 3) {
    const kind = offences.find((known) => known === flat[i + 1]);
    const state = flat[i + 2];
    if (kind === undefined || state === undefined) throw unknownReply(flat);
    offenders.push({ index: Number(flat[i]), kind, state });
  }
  return offenders;
}
