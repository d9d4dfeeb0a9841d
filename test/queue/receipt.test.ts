import { createHash, createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  checkReceipt,
  generateReceiptKeys,
  makeReceipt,
  type ReceiptClaim,
  readReceiptKey,
  receiptKeyId,
} from '#queue/receipt.ts';
import { anyChain, anyStudent, anyWriter } from './arbitraries.ts';

const keys = generateReceiptKeys();
const claim: ReceiptClaim = {
  session: '00000000-0000-4000-8000-000000000001',
  student: 'José',
  writer: 'writer_1',
  lastSeq: 25,
  chain: 'ab'.repeat(32),
  time: 1_790_000_000_123,
};

describe('a receipt', () => {
  it('holds for its key after a trip through JSON', () => {
    const anyClaim: fc.Arbitrary<ReceiptClaim> = fc.record({
      session: fc.uuid(),
      student: anyStudent,
      writer: anyWriter,
      lastSeq: fc.nat(20_000),
      chain: anyChain,
      time: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
    });
    const key = readReceiptKey(keys.privateKey);
    fc.assert(
      fc.property(anyClaim, (any) => {
        const receipt = JSON.parse(JSON.stringify(makeReceipt(key, any)));
        expect(receipt).toMatchObject(any);
        expect(checkReceipt(keys.publicKey, receipt)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  it('is an Ed25519 signature over what PROTOCOL.md says, which anybody can check', () => {
    const { signature } = makeReceipt(keys.privateKey, claim);
    const lp = (text: string) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(Buffer.byteLength(text));
      return Buffer.concat([length, Buffer.from(text)]);
    };
    const texts = [claim.session, 'José', 'writer_1', '25', claim.chain, '1790000000123'];
    const bytes = Buffer.concat([Buffer.from('untradex-receipt-v1'), ...texts.map(lp)]);
    expect(verify(null, bytes, createPublicKey(keys.publicKey), Buffer.from(signature, 'base64url'))).toBe(true);
  });

  it('does not hold once anything in it is changed', () => {
    const receipt = makeReceipt(keys.privateKey, claim);
    const changes = [
      { session: '00000000-0000-4000-8000-000000000002' },
      { student: 'Jose' },
      { writer: 'writer_2' },
      { lastSeq: 26 },
      { chain: 'ac'.repeat(32) },
      { time: 0 },
      { keyId: '0000000000000000' },
      { signature: `${receipt.signature[0] === 'A' ? 'B' : 'A'}${receipt.signature.slice(1)}` },
      { signature: `${receipt.signature}==` },
      { signature: `${receipt.signature} ` },
      { signature: '' },
      { lastSeq: '25' },
      { student: undefined },
    ];
    for (const change of changes) {
      expect(checkReceipt(keys.publicKey, { ...receipt, ...change }), JSON.stringify(change)).toBe(false);
    }
  });

  it('does not hold for another key, even with that key named', () => {
    const other = generateReceiptKeys();
    const receipt = makeReceipt(keys.privateKey, claim);
    expect(checkReceipt(other.publicKey, receipt)).toBe(false);
    expect(checkReceipt(other.publicKey, { ...receipt, keyId: receiptKeyId(other.publicKey) })).toBe(false);
  });

  it.each([null, undefined, 'text', 7, [], {}])('is not %j', (value) => {
    expect(checkReceipt(keys.publicKey, value)).toBe(false);
  });

  it('is not made for a claim that could not be checked', () => {
    for (const change of [{ lastSeq: -1 }, { lastSeq: 1.5 }, { chain: 'ab' }, { student: '' }, { writer: 'short' }]) {
      expect(() => makeReceipt(keys.privateKey, { ...claim, ...change })).toThrow(RangeError);
    }
  });
});

describe('a receipt key', () => {
  it('has the same id, public and private: 16 hex digits of the hash of its 32 raw bytes', () => {
    const der = createPublicKey(keys.publicKey).export({ type: 'spki', format: 'der' });
    const id = createHash('sha256').update(der.subarray(-32)).digest('hex').slice(0, 16);
    expect(receiptKeyId(keys.publicKey)).toBe(id);
    expect(receiptKeyId(keys.privateKey)).toBe(id);
    expect(makeReceipt(keys.privateKey, claim).keyId).toBe(id);
  });

  it('is refused when it is none, without showing it', () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export({ type: 'pkcs8', format: 'pem' });
    for (const pem of ['', 'secret words', keys.publicKey, String(rsa)]) {
      expect(() => readReceiptKey(pem)).toThrow(expect.objectContaining({ code: 'receipt_key_invalid' }));
      expect(() => readReceiptKey(pem)).not.toThrow('secret');
    }
  });
});
