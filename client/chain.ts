/**
 * The client's copy of the queue's hash chain (PROTOCOL.md, "Chain"), over a hash that the platform gives: a writer's
 * state `seq:chain` stands for every answer before it, so comparing one chain compares whole histories.
 */

/** SHA-256 of some bytes, 32 bytes. Synchronous where the platform allows it. */
export type Sha256 = (bytes: Uint8Array<ArrayBuffer>) => Uint8Array | Promise<Uint8Array>;

const encoder = new TextEncoder();
const chainBytes = 32;

/** h0: the chain of a writer without events, as 64 hex digits. */
export async function originChain(sha256: Sha256, uid: string, student: string, writer: string): Promise<string> {
  const parts = [uid, student, writer].map((text) => encoder.encode(text));
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + 4 + part.length, 0));
  const view = new DataView(bytes.buffer);
  let offset = 0;
  for (const part of parts) {
    view.setUint32(offset, part.length);
    bytes.set(part, offset + 4);
    offset += 4 + part.length;
  }
  return toHex(await sha256(bytes));
}

/** Computes the chains of one writer's texts when somebody asks, and remembers the last answer to go on from. */
export interface ChainWalk {
  /** The chain at `seq` (0: the origin). `seq` must not be above the number of texts. */
  at(seq: number): Promise<string>;
}

/**
 * Submitting costs no hash: only a comparison with the server does, and then only from where the last one ended.
 * @param origin h0 as 64 hex digits
 * @param texts the frozen texts, texts[0] being seq 1; may grow, never changes otherwise
 */
export function createChainWalk(sha256: Sha256, origin: string, texts: readonly string[]): ChainWalk {
  let known = { seq: 0, chain: fromHex(origin) };
  return {
    async at(seq) {
      let here = known.seq <= seq ? known : { seq: 0, chain: fromHex(origin) };
      while (here.seq < seq) {
        here = { seq: here.seq + 1, chain: await nextChain(sha256, here.chain, texts[here.seq]!) };
      }
      known = here;
      return toHex(here.chain);
    },
  };
}

async function nextChain(sha256: Sha256, chain: Uint8Array, text: string): Promise<Uint8Array> {
  const payload = encoder.encode(text);
  const bytes = new Uint8Array(chainBytes + payload.length);
  bytes.set(chain);
  bytes.set(payload, chainBytes);
  const hashed = sha256(bytes);
  return hashed instanceof Uint8Array ? hashed : await hashed;
}

function toHex(bytes: Uint8Array): string {
  let hex = '';
  for (const byte of bytes) hex += byte.toString(16).padStart(2, '0');
  return hex;
}

function fromHex(hex: string): Uint8Array {
  const bytes = new Uint8Array(chainBytes);
  for (let i = 0; i < chainBytes; i++) bytes[i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}
