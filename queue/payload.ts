import { isUtf8 } from 'node:buffer';
import { limits } from './limits.ts';

/** Why a payload is refused before it is appended, or null. Sinks must be able to load whatever is acknowledged. */
export type PayloadRefusal =
  | 'payload_too_large'
  | 'payload_empty'
  | 'payload_not_json'
  | 'payload_nul'
  | 'payload_lone_surrogate';

/**
 * Judges the exact bytes of an event's JSON value: null when every sink can load them, unchanged, as text.
 * `payload_not_json` covers bytes that are not UTF-8 and white space around the value, which a caller cuts off before.
 */
export function admitPayload(bytes: Buffer): PayloadRefusal | null {
  if (bytes.length === 0) return 'payload_empty';
  if (bytes.length > limits.payloadBytes) return 'payload_too_large';
  if (isWhiteSpace(bytes[0]!) || isWhiteSpace(bytes[bytes.length - 1]!) || !isUtf8(bytes)) return 'payload_not_json';
  // Latin-1 is enough from here on, and cheaper: JSON's grammar, and every escape, is ASCII, and to it the other bytes
  // of UTF-8 are as good as the characters they encode (allowed within strings, nowhere else).
  const text = bytes.toString('latin1');
  try {
    JSON.parse(text);
  } catch {
    return 'payload_not_json';
  }
  return refuseEscapes(text);
}

/** JSON's four: space, tab, line feed, carriage return. */
function isWhiteSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d;
}

/**
 * Finds the first escape that stands for what no sink can store: U+0000, or half of a surrogate pair without its other
 * half. For callers that have parsed the text already, as {@link admitPayload} does.
 * @param json valid JSON: then every backslash begins an escape, which is complete and within a string
 */
export function refuseEscapes(json: string): 'payload_nul' | 'payload_lone_surrogate' | null {
  if (!json.includes('\\u')) return null;
  // Where the low half must stand, once the escape before was a high half.
  let lowHalfAt = -1;
  for (let at = json.indexOf('\\'), next = 0; at >= 0; at = json.indexOf('\\', next)) {
    const isUnicode = json[at + 1] === 'u';
    next = at + (isUnicode ? 6 : 2);
    if (isUnicode && json.startsWith('0000', at + 2)) return 'payload_nul';
    const half = isUnicode ? surrogateHalf(json, at + 2) : null;
    const isPair = half === 'low' && at === lowHalfAt;
    if ((half === 'low' || lowHalfAt >= 0) && !isPair) return 'payload_lone_surrogate';
    lowHalfAt = half === 'high' ? next : -1;
  }
  return lowHalfAt >= 0 ? 'payload_lone_surrogate' : null;
}

/** Which half of a pair the four hex digits at `at` are: D800 to DBFF, DC00 to DFFF. Bit 5 makes letters small. */
function surrogateHalf(json: string, at: number): 'high' | 'low' | null {
  if ((json.charCodeAt(at) | 0x20) !== 0x64) return null;
  const second = json.charCodeAt(at + 1) | 0x20;
  if (second >= 0x63) return 'low';
  return second === 0x38 || second === 0x39 || second >= 0x61 ? 'high' : null;
}
