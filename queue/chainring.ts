import type { State } from './chain.ts';
import { limits } from './limits.ts';

/**
 * The chains of a writer's newest events, so that repeats can be compared. A ring of 32 bytes a chain that grows as it
 * is needed: a lane that only waits has none. It always keeps what is not durable yet, and of the rest so much that it
 * holds `limits.recentChains`.
 */
export interface ChainRing {
  /** Seqs of the oldest and of the newest chain that it knows. */
  first: number;
  last: number;
  /** The newest chain as it came; while it is the only one there are no slots. */
  newest: string;
  slots: Buffer | null;
}

const chainBytes = 32;
const fewestSlots = 8;

/** A ring that knows one chain. */
export function createChainRing(state: State): ChainRing {
  return { first: state.seq, last: state.seq, newest: state.chain, slots: null };
}

/** Takes the chain of the next seq. Forgets the oldest when it is full, but none from `keepFrom` on. */
export function pushChain(ring: ChainRing, chain: string, keepFrom: number): void {
  const count = ring.last - ring.first + 1;
  if (count >= capacity(ring)) {
    if (capacity(ring) < limits.recentChains || ring.first >= keepFrom) resize(ring, 2 * capacity(ring));
    else ring.first += 1;
  }
  ring.last += 1;
  ring.newest = chain;
  write(ring, ring.last, chain);
}

/** The chain at a seq, or null when the ring does not know it. */
export function chainAt(ring: ChainRing, seq: number): string | null {
  if (seq === ring.last) return ring.newest;
  if (!(seq >= ring.first && seq < ring.last)) return null;
  const at = (seq % capacity(ring)) * chainBytes;
  return ring.slots!.toString('hex', at, at + chainBytes);
}

/** Forgets what is newer than a state; a ring that does not know that state begins anew with it. */
export function cutRing(ring: ChainRing, state: State): ChainRing {
  if (chainAt(ring, state.seq) !== state.chain) return createChainRing(state);
  ring.last = state.seq;
  ring.newest = state.chain;
  shrinkRing(ring);
  return ring;
}

/** Gives back what a flood of pending events took, once they are durable. */
export function shrinkRing(ring: ChainRing): void {
  if (capacity(ring) <= limits.recentChains) return;
  ring.first = Math.max(ring.first, ring.last - limits.recentChains + 1);
  resize(ring, limits.recentChains);
}

function capacity(ring: ChainRing): number {
  return ring.slots === null ? 1 : ring.slots.length / chainBytes;
}

function write(ring: ChainRing, seq: number, chain: string): void {
  ring.slots!.write(chain, (seq % capacity(ring)) * chainBytes, chainBytes, 'hex');
}

function resize(ring: ChainRing, slots: number): void {
  const known = ring.last - ring.first + 1;
  const chains = Array.from({ length: known }, (_, i) => chainAt(ring, ring.first + i)!);
  ring.slots = Buffer.allocUnsafeSlow(Math.max(fewestSlots, slots) * chainBytes);
  chains.forEach((chain, i) => {
    write(ring, ring.first + i, chain);
  });
}
