const factors = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
} as const;

const pattern = /^([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([numkMGTPE]|[KMGTPE]i))?$/;

/** The number that a Kubernetes quantity stands for: `2Gi`, `1500m`, `1e9`. Null for anything else. */
export function numberOf(quantity: unknown): number | null {
  if (typeof quantity === 'number') return Number.isFinite(quantity) ? quantity : null;
  const match = typeof quantity === 'string' ? pattern.exec(quantity) : null;
  if (match === null) return null;
  const [, digits, exponent = '', suffix = ''] = match;
  return Number(`${digits}${exponent}`) * factors[suffix as keyof typeof factors];
}
