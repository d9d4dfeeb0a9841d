import fc from 'fast-check';
import { checkStudent } from '#queue/identity.ts';
import { limits } from '#queue/limits.ts';

/** Any student id that the rules admit, mostly short, in many scripts. */
export const anyStudent = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 40 })
  .map((text) => text.normalize('NFC'))
  .filter((text) => checkStudent(text) === null);

/** Any writer id. */
export const anyWriter = fc.stringMatching(/^[A-Za-z0-9_-]{8,64}$/);

/** Payload bytes as `admitPayload` lets them through, some of the greatest size. */
export const anyPayload = fc.oneof(
  { weight: 20, arbitrary: fc.json().map((json) => Buffer.from(json)) },
  { weight: 1, arbitrary: fc.constant(Buffer.from(`"${'x'.repeat(limits.payloadBytes - 2)}"`)) },
);

/** Any event that a batch can hold, with payloads of some kind. */
export function eventWith(payload: fc.Arbitrary<Buffer>) {
  return fc.record({
    student: anyStudent,
    writer: anyWriter,
    seq: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
    receivedAt: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
    late: fc.boolean(),
    payload,
  });
}

export const anyEvent = eventWith(anyPayload);

/** A chain, or any other SHA-256 in hex. */
export const anyChain = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => Buffer.from(bytes).toString('hex'));

/** A writer's state; seq 0 too. */
export const anyState = fc.record({ seq: fc.nat({ max: limits.maxSeq }), chain: anyChain });
