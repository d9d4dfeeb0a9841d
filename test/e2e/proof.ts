import { createHash, createPublicKey, verify } from 'node:crypto';

/**
 * Chains, root and receipts once more, written from queue/PROTOCOL.md alone: a checker that used the code of the
 * queue would agree with its mistakes.
 */

export interface PaperState {
  readonly student: string;
  readonly writer: string;
  readonly seq: number;
  /** Hex. */
  readonly chain: string;
}

/** The state of a writer after exactly these payloads. */
export function stateOf(uid: string, student: string, writer: string, payloads: readonly Buffer[]): PaperState {
  let chain = sha256(lengthPrefixed(uid, student, writer));
  for (const payload of payloads) chain = sha256(chain, payload);
  return { student, writer, seq: payloads.length, chain: chain.toString('hex') };
}

/** The session's root over the writers that wrote something. */
export function rootOf(states: readonly PaperState[]): string {
  const leaves = states
    .map(({ student, writer, seq, chain }) => {
      const tail = Buffer.alloc(8);
      tail.writeBigUInt64BE(BigInt(seq));
      const leaf = Buffer.concat([lengthPrefixed(student, writer), tail, Buffer.from(chain, 'hex')]);
      return { student: Buffer.from(student), writer: Buffer.from(writer), hash: sha256(Buffer.from([0]), leaf) };
    })
    .sort((a, b) => Buffer.compare(a.student, b.student) || Buffer.compare(a.writer, b.writer));
  return treeHash(leaves.map((leaf) => leaf.hash)).toString('hex');
}

/** RFC 6962, section 2.1, by its own recursion. */
function treeHash(hashes: readonly Buffer[]): Buffer {
  if (hashes.length === 0) return sha256();
  if (hashes.length === 1) return hashes[0]!;
  let split = 1;
  while (split * 2 < hashes.length) split *= 2;
  return sha256(Buffer.from([1]), treeHash(hashes.slice(0, split)), treeHash(hashes.slice(split)));
}

/** What a student was given by Finish. */
export interface SignedReceipt {
  readonly session: string;
  readonly student: string;
  readonly writer: string;
  readonly lastSeq: number;
  readonly chain: string;
  readonly time: number;
  readonly keyId: string;
  readonly signature: string;
}

/** @param publicKey PEM, as the session's status shows it */
export function isSigned(publicKey: string, receipt: SignedReceipt): boolean {
  const { session, student, writer, lastSeq, chain, time, keyId, signature } = receipt;
  const key = createPublicKey(publicKey);
  const raw = Buffer.from(String(key.export({ format: 'jwk' }).x), 'base64url');
  if (keyId !== sha256(raw).toString('hex').slice(0, 16)) return false;
  const fields = lengthPrefixed(session, student, writer, String(lastSeq), chain, String(time));
  const signed = Buffer.concat([Buffer.from('untradex-receipt-v1'), fields]);
  return verify(null, signed, key, Buffer.from(signature, 'base64url'));
}

export function digestOf(payload: Buffer | string): string {
  return sha256(Buffer.from(payload)).toString('hex');
}

function lengthPrefixed(...texts: string[]): Buffer {
  return Buffer.concat(
    texts.flatMap((text) => {
      const bytes = Buffer.from(text);
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bytes.length);
      return [length, bytes];
    }),
  );
}

function sha256(...parts: Buffer[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}
