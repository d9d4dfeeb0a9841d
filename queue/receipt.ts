import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';
import { isChain } from './chain.ts';
import { checkStudent, checkWriter } from './identity.ts';
import { lengthPrefixed } from './lengthprefix.ts';
import { problem } from './problem.ts';

/** What a receipt says: at `time` (ms since 1970) everything up to `lastSeq` was durable, and it was exactly this. */
export interface ReceiptClaim {
  /** The session's uid. */
  readonly session: string;
  readonly student: string;
  readonly writer: string;
  readonly lastSeq: number;
  /** The chain at `lastSeq`, hex: it commits to every answer before it. */
  readonly chain: string;
  readonly time: number;
}

/** A claim with its proof, as JSON goes to the student. */
export interface Receipt extends ReceiptClaim {
  readonly keyId: string;
  /** Ed25519, base64url without padding. */
  readonly signature: string;
}

/** PEM text (PKCS8 or SPKI), or the key read from it once: reading takes longer than signing. */
export type ReceiptKey = string | KeyObject;

const domain = 'untradex-receipt-v1';

/** A new key pair for one session: the private one is for its gateways only, the public one for everybody. */
export function generateReceiptKeys(): { privateKey: string; publicKey: string } {
  return generateKeyPairSync('ed25519', {
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
}

/** Reads an Ed25519 private key in PEM, for {@link makeReceipt}. Anything else is Problem `receipt_key_invalid`. */
export function readReceiptKey(pem: string): KeyObject {
  return ed25519Key(() => createPrivateKey(pem));
}

/** First 16 hex digits of SHA-256 of the raw public key. A private key has the id of its public one. */
export function receiptKeyId(publicKey: ReceiptKey): string {
  const { x } = readPublicKey(publicKey).export({ format: 'jwk' });
  return createHash('sha256').update(Buffer.from(x!, 'base64url')).digest('hex').slice(0, 16);
}

/** Signs a claim. RangeError for one that could not be checked later. */
export function makeReceipt(privateKey: ReceiptKey, claim: ReceiptClaim): Receipt {
  if (!isClaim(claim)) throw new RangeError('not a claim that a receipt can make');
  const key = typeof privateKey === 'string' ? readReceiptKey(privateKey) : privateKey;
  const { session, student, writer, lastSeq, chain, time } = claim;
  const signature = sign(null, signedBytes(claim), key).toString('base64url');
  return { session, student, writer, lastSeq, chain, time, keyId: receiptKeyId(key), signature };
}

/**
 * Tells whether a receipt was made with the private half of `publicKey` and not changed since. Takes what a student
 * shows: anything that is no receipt is simply false.
 */
export function checkReceipt(publicKey: ReceiptKey, receipt: unknown): receipt is Receipt {
  const key = readPublicKey(publicKey);
  if (!isReceipt(receipt) || receipt.keyId !== receiptKeyId(key)) return false;
  const signature = Buffer.from(receipt.signature, 'base64url');
  // One signature has one text: Node's decoder would also take padding, `+` and stray characters.
  if (signature.toString('base64url') !== receipt.signature) return false;
  return verify(null, signedBytes(receipt), key, signature);
}

function signedBytes(claim: ReceiptClaim): Buffer {
  const { session, student, writer, lastSeq, chain, time } = claim;
  const fields = lengthPrefixed(session, student, writer, String(lastSeq), chain, String(time));
  return Buffer.concat([Buffer.from(domain), fields]);
}

function isReceipt(value: unknown): value is Receipt {
  if (typeof value !== 'object' || value === null) return false;
  const { keyId, signature } = value as Partial<Receipt>;
  return typeof keyId === 'string' && typeof signature === 'string' && isClaim(value);
}

function isClaim(value: object): value is ReceiptClaim {
  const { session, student, writer, lastSeq, chain, time } = value as Partial<ReceiptClaim>;
  return (
    [session, student, writer, chain].every((text) => typeof text === 'string') &&
    [lastSeq, time].every((number) => Number.isSafeInteger(number) && number! >= 0) &&
    session!.isWellFormed() &&
    checkStudent(student!) === null &&
    checkWriter(writer!) === null &&
    isChain(chain!)
  );
}

function readPublicKey(key: ReceiptKey): KeyObject {
  if (typeof key !== 'string' && key.type === 'public') return key;
  return ed25519Key(() => createPublicKey(key));
}

function ed25519Key(read: () => KeyObject): KeyObject {
  let key: KeyObject | undefined;
  let cause: unknown;
  try {
    key = read();
  } catch (error) {
    cause = error;
  }
  if (key?.asymmetricKeyType === 'ed25519') return key;
  throw problem(
    'receipt_key_invalid',
    'the receipt key is not an Ed25519 key in PEM',
    "Use the session's own keys (keys/receipt.pem, keys/receipt.pub.pem), or make new ones for a new session.",
    { cause },
  );
}
