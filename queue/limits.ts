/**
 * The bounds that every part of the system agrees on, with the reason for each. What is acknowledged must be
 * loadable by every sink, so these are checked before an event is appended, never after.
 */
export const limits = {
  /** Bytes of one event's payload. Oracle's direct path refuses rows over 64 KB; 16 KiB leaves room for four-byte growth. */
  payloadBytes: 16_384,
  /** Bytes of one WebSocket message: a payload and its envelope fit, and little else. */
  frameBytes: 65_536,
  /** Fragments of one WebSocket message. */
  frameFragments: 16,
  /** Bytes of a student id. */
  studentBytes: 128,
  /** Highest seq of one writer: bounds what one student can store (times writers, times payloadBytes). */
  maxSeq: 20_000,
  /** Writers (devices, reloads that lost their outbox) of one student. */
  writersPerStudent: 32,
  /** Bytes of one batch, checked by the append script. */
  batchBytes: 1_048_576,
  /** Writers in one batch, checked by the append script. */
  batchWriters: 1_000,
  /** Events in one batch, checked by the append script. */
  batchEvents: 10_000,
  /** Events that one gateway process holds for one shard before it pauses its sockets (high-water mark). */
  pendingEvents: 100_000,
  /** Bytes of payload that one gateway process holds for one shard before it pauses its sockets (high-water mark). */
  pendingBytes: 67_108_864,
  /** Recent chains that a lane remembers, so that repeats can be compared. */
  recentChains: 256,
  /** Fraction of maxmemory above which new events are refused, before Redis itself fails. */
  fullAt: 0.8,
} as const satisfies Record<string, number>;
