import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { quantity } from '#operator/capacity.ts';
import { numberOf } from '#operator/quantity.ts';

const KiB = 1_024;
const GiB = KiB ** 3;

describe('a quantity', () => {
  test('is read as Kubernetes reads it', () => {
    const known = { '2Gi': 2 * GiB, '1500m': 1.5, '1e3': 1_000, '1.5M': 1_500_000, '128974848': 128974848, '.5': 0.5 };
    for (const [text, number] of Object.entries(known)) expect(numberOf(text), text).toBe(number);
    expect(numberOf(3)).toBe(3);
    expect(numberOf('-5.')).toBe(-5);
  });

  test('is null when it is none', () => {
    for (const text of [undefined, null, '', '.', 'Gi', '1 Gi', '1GiB', '0x10', '1e999999999', {}, Number.NaN]) {
      expect(numberOf(text)).toBeNull();
    }
  });

  test('is exact, where parts of it are no binary fractions', () => {
    const known = { '1.1k': 1_100, '4.35M': 4_350_000, '100n': 1e-7, '0.001Gi': GiB / 1_000, '1.001e9': 1_001_000_000 };
    for (const [text, number] of Object.entries(known)) expect(numberOf(text), text).toBe(number);
    fc.assert(
      fc.property(fc.nat(999_999), fc.nat(999), (whole, thousandths) => {
        const digits = `${whole}.${String(thousandths).padStart(3, '0')}`;
        expect(numberOf(`${digits}M`)).toBe((whole * 1_000 + thousandths) * 1_000);
        expect(numberOf(`${digits}k`)).toBe(whole * 1_000 + thousandths);
      }),
    );
  });

  test('is read back as it is written', () => {
    fc.assert(
      fc.property(fc.nat(1e9), (kibi) => {
        expect(numberOf(quantity(kibi * KiB))).toBe(kibi * KiB);
      }),
    );
  });
});
