import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatState, isChain, nextChain, originChain, parseState } from '#queue/chain.ts';
import { lengthPrefixed } from '#queue/lengthprefix.ts';
import { limits } from '#queue/limits.ts';
import { anyChain, anyPayload, anyState, anyStudent, anyWriter } from './arbitraries.ts';

function sha256(...parts: Uint8Array[]): string {
  return createHash('sha256').update(Buffer.concat(parts)).digest('hex');
}

/** lp(x) as PROTOCOL.md writes it. */
function lp(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.from(bytes.length.toString(16).padStart(8, '0'), 'hex'), bytes]);
}

describe('length-prefixed texts', () => {
  it('are four bytes of length and the UTF-8 bytes, each', () => {
    expect(lengthPrefixed('é', '')).toEqual(Buffer.from('00000002c3a900000000', 'hex'));
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' })), (texts) => {
        expect(lengthPrefixed(...texts)).toEqual(Buffer.concat(texts.map(lp)));
      }),
    );
  });
});

describe('the chain', () => {
  it('begins with session, student and writer', () => {
    fc.assert(
      fc.property(fc.uuid(), anyStudent, anyWriter, (uid, student, writer) => {
        expect(originChain(uid, student, writer)).toBe(sha256(lp(uid), lp(student), lp(writer)));
      }),
    );
  });

  it('goes on with the payload bytes', () => {
    fc.assert(
      fc.property(anyChain, anyPayload, (chain, payload) => {
        expect(nextChain(chain, payload)).toBe(sha256(Buffer.from(chain, 'hex'), payload));
      }),
    );
  });

  it('is the same as anybody else computes it', () => {
    const origin = originChain('00000000-0000-4000-8000-000000000001', 'ana', 'writer_1');
    expect(origin).toBe('e72d74416e80434c81be0472b59f0c97002e1a3ffab1ba7bc2ab9faa371cf5ec');
    expect(nextChain(nextChain(origin, Buffer.from('{"q":1}')), Buffer.from('2'))).toBe(
      '8add5c8a96f12f9f6118fcedf1c88db0193921431000b82ee415459603084ca3',
    );
  });

  it('takes payloads up to the limit, and no text that is no chain', () => {
    const chain = '0'.repeat(64);
    expect(isChain(nextChain(chain, Buffer.alloc(limits.payloadBytes)))).toBe(true);
    expect(() => nextChain(chain, Buffer.alloc(limits.payloadBytes + 1))).toThrow(RangeError);
    expect(() => nextChain('00', Buffer.from('1'))).toThrow(RangeError);
    expect(() => nextChain(`zz${chain}`, Buffer.from('1'))).toThrow(RangeError);
  });
});

describe('a state', () => {
  it('is read as it was written', () => {
    fc.assert(
      fc.property(anyState, (state) => {
        expect(parseState(formatState(state))).toEqual(state);
      }),
    );
  });

  const chain = 'a'.repeat(64);
  it.each(['', '0:', `:${chain}`, `01:${chain}`, `-1:${chain}`, `1.5:${chain}`, `1e3:${chain}`])(
    'cannot be %j',
    (text) => expect(() => parseState(text)).toThrow(expect.objectContaining({ code: 'state_corrupt' })),
  );
  it.each([`1:${chain.toUpperCase()}`, `1:${chain}a`, `1:${chain}\n`, ` 1:${chain}`, `9007199254740993:${chain}`])(
    'cannot be %j either',
    (text) => expect(() => parseState(text)).toThrow(expect.objectContaining({ code: 'state_corrupt' })),
  );
});
