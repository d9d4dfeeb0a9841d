import { limits } from '#queue/limits.ts';
import { problem } from '#queue/problem.ts';

const encoder = new TextEncoder();

/**
 * Freezes an event: the JSON text whose UTF-8 bytes are the payload from here to the exported table. Refuses early what
 * the queue would refuse (`admitPayload`), so that nothing is numbered that could never be acknowledged.
 * @throws Problem `payload_not_json`, `payload_too_large`, `payload_nul` or `payload_lone_surrogate`
 */
export function eventText(event: unknown): string {
  const text = toJson(event);
  const bytes = utf8Length(text);
  if (bytes > limits.payloadBytes) {
    throw problem(
      'payload_too_large',
      `the event has ${bytes} bytes of JSON; at most ${limits.payloadBytes} are allowed`,
      'Split the answer into several events, or store large files elsewhere and submit a reference.',
    );
  }
  // JSON.stringify escapes exactly these two, besides other control characters: without an escape there is neither.
  if (text.includes('\\u')) refuseUnstorable(JSON.parse(text));
  return text;
}

function toJson(event: unknown): string {
  let text: string | undefined;
  let cause: unknown;
  try {
    text = JSON.stringify(event);
  } catch (error) {
    cause = error;
  }
  if (text !== undefined) return text;
  throw problem(
    'payload_not_json',
    `the event is not JSON: ${cause instanceof Error ? cause.message : `a ${typeof event} has no JSON form`}`,
    'Submit plain data: objects, arrays, strings, finite numbers, booleans, null.',
    { cause },
  );
}

function utf8Length(text: string): number {
  // One UTF-16 unit needs at most three bytes: most events are far from the limit and need no count.
  return text.length * 3 <= limits.payloadBytes ? text.length : encoder.encode(text).length;
}

function refuseUnstorable(value: unknown): void {
  if (typeof value === 'string') refuseText(value);
  else if (Array.isArray(value)) value.forEach(refuseUnstorable);
  else if (typeof value === 'object' && value !== null) {
    for (const [key, member] of Object.entries(value)) {
      refuseText(key);
      refuseUnstorable(member);
    }
  }
}

function refuseText(text: string): void {
  if (text.includes('\0')) {
    throw problem(
      'payload_nul',
      'the event holds the character U+0000',
      'Remove NUL characters: databases cannot store them in text.',
    );
  }
  if (!text.isWellFormed()) {
    throw problem(
      'payload_lone_surrogate',
      'the event holds half of a surrogate pair, which is not a character',
      'Cut strings between characters, not inside them, or use toWellFormed().',
    );
  }
}
