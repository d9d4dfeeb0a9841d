import { hash } from 'node:crypto';
import { isChain, type State } from './chain.ts';
import { lengthPrefixed } from './lengthprefix.ts';
import { type Problem, problem } from './problem.ts';

/** One leaf of the session's tree: a writer of a student, and where it stands. */
export interface WriterState {
  readonly student: string;
  readonly writer: string;
  readonly state: State;
}

const hashBytes = 32;

/** Root of the tree hash of RFC 6962, section 2.1, as hex. Of no leaves: SHA-256 of nothing. */
export function merkleRoot(leaves: Iterable<Uint8Array>): string {
  const hashes: string[] = [];
  for (const leaf of leaves) hashes.push(leafHash(leaf));
  return rootOf(hashes);
}

/** The bytes of a leaf: lp(student) lp(writer), the seq as u64, the 32 bytes of the chain. */
export function writerLeaf(student: string, writer: string, state: State): Buffer {
  if (!Number.isSafeInteger(state.seq) || state.seq < 0 || !isChain(state.chain)) {
    throw new RangeError(`not a state: ${state.seq}:${state.chain}`);
  }
  const tail = Buffer.allocUnsafe(8 + hashBytes);
  tail.writeBigUInt64BE(BigInt(state.seq));
  tail.write(state.chain, 8, 'hex');
  return Buffer.concat([lengthPrefixed(student, writer), tail]);
}

/**
 * The session's root: the writers of all shards, sorted by the bytes of student and writer, whatever order they come
 * in. It is a root over a set: a writer that comes twice with one state counts once (a scan of Redis may repeat
 * itself), with two states it is Problem `root_conflict`. A million writers keep the thread for some seconds.
 */
export function sessionRoot(writers: Iterable<WriterState>): string {
  const leaves: SortableLeaf[] = [];
  for (const { student, writer, state } of writers) {
    leaves.push({ student: byteText(student), writer, hash: leafHash(writerLeaf(student, writer, state)) });
  }
  leaves.sort((a, b) => compare(a.student, b.student) || compare(a.writer, b.writer));
  const hashes: string[] = [];
  let before: SortableLeaf | undefined;
  for (const leaf of leaves) {
    const isSameWriter = before?.student === leaf.student && before.writer === leaf.writer;
    if (!isSameWriter) hashes.push(leaf.hash);
    else if (before?.hash !== leaf.hash) throw conflict(leaf);
    before = leaf;
  }
  return rootOf(hashes);
}

/** `student` is a byteText; a writer is ASCII, so it is one as it stands. */
interface SortableLeaf {
  readonly student: string;
  readonly writer: string;
  readonly hash: string;
}

/** One character a UTF-8 byte: such texts sort as their bytes do. (JavaScript sorts by UTF-16 units, which differ.) */
function byteText(text: string): string {
  return Buffer.from(text).toString('latin1');
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function conflict(leaf: SortableLeaf): Problem {
  return problem(
    'root_conflict',
    `writer ${leaf.writer} of student "${Buffer.from(leaf.student, 'latin1')}" comes with two different states`,
    'Compute the root only after the seal, from each shard once; if that was so, the log is damaged: keep the volumes.',
  );
}

const leafPrefix = Buffer.from([0x00]);

/** 0x01, left, right: the prefix keeps a node from passing for a leaf. */
const node = Buffer.alloc(1 + 2 * hashBytes, 0x01);

function leafHash(leaf: Uint8Array): string {
  return hash('sha256', Buffer.concat([leafPrefix, leaf]), 'hex');
}

function nodeHash(left: string, right: string): string {
  node.write(left, 1, 'hex');
  node.write(right, 1 + hashBytes, 'hex');
  return hash('sha256', node, 'hex');
}

/**
 * Level by level: neighbours are paired, and an odd last one rises unchanged. That is the RFC's recursion, which
 * splits at the largest power of two below the count, without its depth. Uses up `hashes`.
 */
function rootOf(hashes: string[]): string {
  if (hashes.length === 0) return hash('sha256', '', 'hex');
  for (let count = hashes.length; count > 1; count = Math.ceil(count / 2)) {
    for (let i = 0; i < count; i += 2) {
      const left = hashes[i]!;
      hashes[i / 2] = i + 1 < count ? nodeHash(left, hashes[i + 1]!) : left;
    }
  }
  return hashes[0]!;
}
