import { limits } from '#queue/limits.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;

/**
 * What the planner and the reconciler assume, and how long they wait. Every number that is not the session's own wish
 * stands here. A platform may override some (a laptop waits shorter than a cluster).
 */
export const defaultSettings = {
  capacity: {
    /** Gateways more than the students need, so that the others can take the students of one that dies. */
    spareReplicas: 1,
    /** A Node process with the code loaded. */
    gatewayBaseBytes: 192 * MiB,
    /** A socket (about 13 KiB) and the recent chains of a writer (`limits.recentChains`, 100 bytes each). */
    gatewayBytesPerStudent: 40 * KiB,
    /** Answers on their way to the queue. */
    gatewayBufferBytes: 128 * MiB,
    /** Connections that one gateway takes at most, as a multiple of the students that it is planned for. */
    gatewayConnectionsFactor: 2,
    /** Gateways and Redis use one thread each. */
    gatewayCpu: 1,
    redisCpu: 1,
    /** Redis itself, its clients' buffers and the buffer of the append-only file. */
    redisBaseBytes: 128 * MiB,
    /** Least `maxmemory` of a shard: small sessions may send more than they thought. */
    redisLeastMaxmemory: 512 * MiB,
    /** In memory an event costs so much beside its payload when it is alone in its batch (measured; 90 among many). */
    memoryBytesPerEvent: 270,
    /** Writers of a student (devices, reloads without an outbox), and what the hashes hold for each. */
    writersPerStudent: 2,
    memoryBytesPerWriter: 600,
    /** In the append-only file likewise (measured; 170 among many): its head, its writer's state, the commands' words. */
    diskBytesPerEvent: 640,
    /** Least storage of a shard. */
    redisLeastStorage: GiB,
    /** Memory and storage are sized so that this fraction is enough. */
    fullAt: limits.fullAt,
    /** Bytes of append-only file that Redis loads a second when it starts (measured). */
    reloadBytesPerSecond: 78_000_000,
  },
  /** Above this fraction of its memory or storage a shard refuses new events, before Redis itself fails. */
  fullAbove: limits.fullAt,
  /** Once full, it takes events again below this fraction. */
  notFullBelow: 0.75,
  /** A pass at least this often while students answer: so often live counts reach the status. */
  passSeconds: 15,
  /** A pass at least this often while shards are started, which do not say when they can be initialised. */
  startSeconds: 0.1,
  /** A pass at least this often while something else is awaited. */
  waitSeconds: 1,
  /** How long one gateway stays after the export was verified, so that students' devices learn it and let go. */
  verifiedLingerSeconds: 300,
  /** When the queue or the last gateway is gone and so nobody can be told: how long after the proof that is tried. */
  verifiedMostSeconds: 3_600,
  /** Wait before the second attempt to export; doubled for each further one, up to the last number. */
  exportBackoffSeconds: 2,
  exportBackoffMostSeconds: 60,
  /** Wait before a new attempt after one that a person must mend, if nobody edits the session before. */
  exportBlockedSeconds: 300,
} as const satisfies Record<string, unknown>;

type Numbers<T> = { readonly [K in keyof T]: T[K] extends number ? number : Numbers<T[K]> };
export type Settings = Numbers<typeof defaultSettings>;
export type CapacitySettings = Settings['capacity'];
