import fc from 'fast-check';
import { expect, test } from 'vitest';
import { eventText } from '#client/eventtext.ts';
import { limits } from '#queue/limits.ts';
import { admitPayload } from '#queue/payload.ts';

function codeOf(event: unknown): string | null {
  try {
    eventText(event);
    return null;
  } catch (error) {
    return (error as { code: string }).code;
  }
}

test('freezes exactly JSON.stringify', () => {
  const event = { question: 7, answer: 'Ñandú 🦤 \\u0000 \u0001', at: [1.5, null, true] };
  expect(eventText(event)).toBe(JSON.stringify(event));
});

test.each([
  ['undefined', undefined],
  ['a function', () => 1],
  ['a symbol', Symbol('x')],
  ['a bigint', { n: 1n }],
  [
    'a cycle',
    (() => {
      const a: unknown[] = [];
      a.push(a);
      return a;
    })(),
  ],
  [
    'a toJSON that throws',
    {
      toJSON() {
        throw new Error('no');
      },
    },
  ],
])('refuses %s as payload_not_json', (_what, event) => {
  expect(codeOf(event)).toBe('payload_not_json');
});

test('lets through exactly what the queue admits, and says why not', () => {
  const unit = fc.oneof(fc.constantFrom('\0', '\ud800', '\udfff', '🦤', '\\', '"', '\\u0000', '\u0001'), fc.string());
  const text = fc.array(unit, { maxLength: 8 }).map((units) => units.join(''));
  const event = fc.oneof(text, fc.dictionary(text, fc.oneof(text, fc.integer(), fc.array(text)), { maxKeys: 4 }));
  fc.assert(
    fc.property(event, (value) => {
      const code = codeOf(value);
      expect(code === null).toBe(admitPayload(Buffer.from(JSON.stringify(value))) === null);
      if (code !== null) expect(faultsOf(value)).toContain(code);
    }),
    { numRuns: 2_000 },
  );
});

test('the limit counts bytes of UTF-8, to the byte', () => {
  const most = limits.payloadBytes - 2;
  expect(codeOf('a'.repeat(most))).toBeNull();
  expect(codeOf('a'.repeat(most + 1))).toBe('payload_too_large');
  expect(codeOf('é'.repeat(most / 2))).toBeNull();
  expect(codeOf(`${'é'.repeat(most / 2)}a`)).toBe('payload_too_large');
  expect(admitPayload(Buffer.from(eventText('é'.repeat(most / 2))))).toBeNull();
});

test('a message names the size and the limit', () => {
  expect(() => eventText('x'.repeat(20_000))).toThrow(/20002 bytes.*16384/);
});

function faultsOf(value: unknown): string[] {
  if (typeof value === 'string') {
    return [
      ...(value.includes('\0') ? ['payload_nul'] : []),
      ...(value.isWellFormed() ? [] : ['payload_lone_surrogate']),
    ];
  }
  return typeof value === 'object' && value !== null ? Object.entries(value).flat().flatMap(faultsOf) : [];
}
