import { numberOf } from '../quantity.ts';

/**
 * Whether `live` is what was asked for: it has every field of `wanted`, with the same value. What the API server adds
 * (defaults) and how it writes quantities (1024Mi as 1Gi) makes no difference; another number of items in a list does.
 * Pure.
 */
export function covers(live: unknown, wanted: unknown): boolean {
  if (wanted === undefined || wanted === null || isEmpty(wanted)) return true;
  if (Array.isArray(wanted)) {
    return Array.isArray(live) && live.length === wanted.length && wanted.every((one, i) => covers(live[i], one));
  }
  if (typeof wanted === 'object') {
    if (typeof live !== 'object' || live === null) return false;
    return Object.entries(wanted).every(([name, value]) => covers((live as Record<string, unknown>)[name], value));
  }
  return live === wanted || isSameQuantity(live, wanted);
}

/** The API server leaves these out. */
function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0;
}

function isSameQuantity(a: unknown, b: unknown): boolean {
  const [one, other] = [a, b].map((value) => (typeof value === 'string' ? numberOf(value) : null));
  return one !== null && one === other;
}
