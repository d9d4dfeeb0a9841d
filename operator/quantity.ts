/** Powers of ten, or of two, that a suffix stands for. */
const tens = { n: -9, u: -6, m: -3, '': 0, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 } as const;
const twos = { Ki: 10, Mi: 20, Gi: 30, Ti: 40, Pi: 50, Ei: 60 } as const;

/** Exponents of two digits at most: nobody means more, and a larger one would be computed for ages. */
const pattern = /^([+-]?)(?:(\d+)\.?(\d*)|\.(\d+))(?:[eE]([+-]?\d{1,2})|([numkMGTPE]|[KMGTPE]i))?$/;

/**
 * The number that a Kubernetes quantity stands for: `2Gi`, `1500m`, `1e9`. Null for anything else. Exact as far as a
 * number can be: computed in integers, and rounded once.
 */
export function numberOf(quantity: unknown): number | null {
  if (typeof quantity === 'number') return Number.isFinite(quantity) ? quantity : null;
  const match = typeof quantity === 'string' ? pattern.exec(quantity) : null;
  if (match === null) return null;
  const [, sign, whole = '', fraction = match[4] ?? '', , exponent = '0', suffix = ''] = match;
  const binary = suffix in twos ? twos[suffix as keyof typeof twos] : 0;
  const decimal = suffix in tens ? tens[suffix as keyof typeof tens] : 0;
  const digits = BigInt(`${whole}${fraction}`) << BigInt(binary);
  const size = scaled(digits, decimal + Number(exponent) - fraction.length);
  return sign === '-' ? -size : size;
}

function scaled(digits: bigint, power: number): number {
  if (power >= 0) return Number(digits * 10n ** BigInt(power));
  const divisor = 10n ** BigInt(-power);
  return Number(digits / divisor) + Number(digits % divisor) / Number(divisor);
}
