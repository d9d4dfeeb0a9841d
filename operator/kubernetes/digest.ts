import { createHash } from 'node:crypto';

/**
 * A short name for a value: the same for the same JSON, whatever the order of its fields. Fields without a value do
 * not count, so a field that a newer version adds changes nothing until somebody uses it. 16 characters of hex.
 */
export function digestOf(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex').slice(0, 16);
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => {
    if (typeof part !== 'object' || part === null || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
