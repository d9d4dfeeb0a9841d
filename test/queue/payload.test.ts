import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { limits } from '#queue/limits.ts';
import { admitPayload, refuseEscapes } from '#queue/payload.ts';

/**
 * What may be refused about these bytes, by the slow way: parse the whole, then parse every string literal by itself
 * and look at the text that it means. (Not the parsed value: of two equal keys it keeps one.)
 */
function reasonsAgainst(bytes: Uint8Array): string[] {
  if (bytes.length === 0) return ['payload_empty'];
  if (bytes.length > limits.payloadBytes) return ['payload_too_large'];
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    if (text.trim() !== text) return ['payload_not_json'];
    JSON.parse(text);
    const literals = text.match(/"(?:[^"\\]|\\.)*"/gs) ?? [];
    const meant = literals.map((literal) => JSON.parse(literal) as string);
    return [
      ...(meant.some((string) => string.includes('\0')) ? ['payload_nul'] : []),
      ...(meant.some((string) => !string.isWellFormed()) ? ['payload_lone_surrogate'] : []),
    ];
  } catch {
    return ['payload_not_json'];
  }
}

function agrees(bytes: Buffer): void {
  const reasons = reasonsAgainst(bytes);
  const refusal = admitPayload(bytes);
  if (reasons.length === 0) expect(refusal, bytes.toString()).toBeNull();
  else expect(reasons, bytes.toString()).toContain(refusal);
}

/** What string literals are made of: whatever could be taken for an escape, or hide one. */
const piece = fc.constantFrom(
  ...['\\u0000', '\\u0001', '\\ud83d', '\\ude00', '\\uD83D', '\\uDE00', '\\udbff', '\\udfff', '\\ud7ff', '\\ue000'],
  ...['\\\\', '\\"', '\\/', '\\n', '\\b', '\\u005c', '\\u0022', '\\u00000', 'u0000', 'ud800', '0000', 'a', '😀', 'é'],
  ...['\u2028', '\ufeff', '\u0085', '\u007f'],
);
const literal = fc.array(piece, { maxLength: 8 }).map((pieces) => `"${pieces.join('')}"`);

const { json } = fc.letrec<{ json: string }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 3 },
    literal,
    fc.constantFrom('1', '-0.5e3', 'true', 'null', '{}', '[ ]'),
    fc.array(tie('json'), { maxLength: 3 }).map((items) => `[${items.join(', ')}]`),
    fc.array(fc.tuple(literal, tie('json')), { maxLength: 3 }).map((entries) => {
      return `{${entries.map(([key, value]) => `${key}:${value}`).join(',')}}`;
    }),
  ),
}));

describe('a payload', () => {
  it.each([
    ['{"q":1,"answer":"B"}', null],
    ['""', null],
    ['0', null],
    ['"é 😀 \u2028"', null],
    ['"\\ud83d\\ude00"', null],
    ['"\\uD83D\\uDE00"', null],
    ['"\\\\u0000"', null],
    ['"\\\\\\\\u0000"', null],
    ['"\\\\ud800"', null],
    ['"\\u0001"', null],
    ['"u0000"', null],
    ['', 'payload_empty'],
    ['"\\u0000"', 'payload_nul'],
    ['"\\\\\\u0000"', 'payload_nul'],
    ['{"\\u0000":1}', 'payload_nul'],
    ['{"a":"\\u0000","a":1}', 'payload_nul'],
    ['"\\ud800"', 'payload_lone_surrogate'],
    ['"\\uDFFF"', 'payload_lone_surrogate'],
    ['"\\ude00\\ud83d"', 'payload_lone_surrogate'],
    ['"\\ud83d\\ud83d\\ude00"', 'payload_lone_surrogate'],
    ['"\\ud83d \\ude00"', 'payload_lone_surrogate'],
    ['"\\ud83d\\n"', 'payload_lone_surrogate'],
    ['"\\ud83d\\\\ude00"', 'payload_lone_surrogate'],
    ['["\\ud83d","\\ude00"]', 'payload_lone_surrogate'],
    ['{"\\ud83d":1}', 'payload_lone_surrogate'],
    [' 1', 'payload_not_json'],
    ['1\n', 'payload_not_json'],
    ['\ufeff1', 'payload_not_json'],
    ['{"a":1}{"a":2}', 'payload_not_json'],
    ["{'a':1}", 'payload_not_json'],
    ['"a\nb"', 'payload_not_json'],
    ['"a\0b"', 'payload_not_json'],
    ['NaN', 'payload_not_json'],
    ['undefined', 'payload_not_json'],
    ['[1,]', 'payload_not_json'],
    ['"\\u00g0"', 'payload_not_json'],
    ['"\\', 'payload_not_json'],
  ])('%j is judged %j', (text, refusal) => {
    expect(admitPayload(Buffer.from(text))).toBe(refusal);
    agrees(Buffer.from(text));
  });

  it('that is not UTF-8 is refused: a lone byte, an overlong form, an encoded surrogate, a cut character', () => {
    for (const hex of ['22ff22', '22c08022', '22eda08022', '22f09f982022', '22e922']) {
      expect(admitPayload(Buffer.from(hex, 'hex')), hex).toBe('payload_not_json');
    }
  });

  it('may have just the greatest size, in bytes', () => {
    const string = (bytes: number) => Buffer.from(`"${'é'.repeat(bytes / 2 - 1)}"`);
    expect(admitPayload(string(limits.payloadBytes))).toBeNull();
    expect(admitPayload(string(limits.payloadBytes + 2))).toBe('payload_too_large');
  });

  it('may be nested as deep as it is long', () => {
    const depth = limits.payloadBytes / 2;
    expect(admitPayload(Buffer.from('['.repeat(depth) + ']'.repeat(depth)))).toBeNull();
    expect(admitPayload(Buffer.from('['.repeat(limits.payloadBytes)))).toBe('payload_not_json');
  });

  it('is judged as the slow way does, whatever its escapes', () => {
    fc.assert(
      fc.property(json, (text) => agrees(Buffer.from(text))),
      { numRuns: 2_000 },
    );
  });

  it('is judged as the slow way does, whatever its bytes', () => {
    const damaged = fc
      .tuple(json, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }))
      .map(([text, damage]) => {
        const bytes = Buffer.from(text);
        for (const [at, to] of damage) bytes[at % bytes.length] = to;
        return bytes;
      });
    const anyBytes = fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes));
    fc.assert(fc.property(fc.oneof(damaged, anyBytes), agrees), { numRuns: 2_000 });
  });

  it('that was made by JSON.stringify of a well-formed value is admitted, unless it holds a NUL', () => {
    fc.assert(
      fc.property(fc.json({ stringUnit: 'binary' }), (text) => {
        const refusal = admitPayload(Buffer.from(text));
        expect(refusal).toBe(text.includes('\\u0000') ? refusal : null);
      }),
    );
  });
});

describe('escapes in text that is parsed already', () => {
  it('are judged alike, whether the text is one byte a character or two', () => {
    fc.assert(
      fc.property(json, (text) => {
        expect(refuseEscapes(text)).toBe(refuseEscapes(Buffer.from(text).toString('latin1')));
      }),
    );
  });
});
