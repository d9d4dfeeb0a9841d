import type { ExamSpec } from './examsession.ts';
import type { CapacitySettings } from './settings.ts';

/** What a session needs, by arithmetic alone. Bytes are bytes; `why` says each number's reason in a sentence. */
export interface Capacity {
  readonly replicas: number;
  readonly shards: number;
  readonly gateway: {
    readonly cpu: number;
    readonly memoryBytes: number;
    /** Connections after which a gateway answers 503. */
    readonly connections: number;
  };
  readonly redis: {
    readonly cpu: number;
    readonly memoryBytes: number;
    /** Redis's `maxmemory`, below the memory that it gets. */
    readonly maxmemoryBytes: number;
    readonly storageBytes: number;
    /** How long a full shard needs to load its file after a crash. */
    readonly reloadSeconds: number;
  };
  readonly cpu: number;
  readonly memoryBytes: number;
  readonly storageBytes: number;
  readonly why: readonly string[];
}

/**
 * Works out replicas, shards, memory and storage from what the session says.
 * @param existingShards how many shards were made already; null for none. What exists decides: a student's shard
 *   follows from their number, so it never changes, and more students mean more gateways and larger shards only.
 */
export function capacityOf(spec: ExamSpec, existingShards: number | null, settings: CapacitySettings): Capacity {
  const why: string[] = [];
  const replicas = replicasOf(spec, settings, why);
  const shards = shardsOf(spec, existingShards, why);
  const gateway = gatewayOf(spec, replicas, settings, why);
  const redis = redisOf(spec, shards, settings, why);
  const cpu = replicas * gateway.cpu + shards * redis.cpu;
  const memoryBytes = replicas * gateway.memoryBytes + shards * redis.memoryBytes;
  const storageBytes = shards * redis.storageBytes;
  why.push(
    `In all: ${cpu} cores (each gateway and each shard uses one thread), ${quantity(memoryBytes)} of memory, ${quantity(storageBytes)} of storage.`,
  );
  return { replicas, shards, gateway, redis, cpu, memoryBytes, storageBytes, why };
}

function replicasOf(spec: ExamSpec, settings: CapacitySettings, why: string[]): number {
  const { replicas, studentsPerReplica } = spec.gateway;
  if (replicas !== undefined) {
    why.push(`${counted(replicas, 'gateway')}: spec.gateway.replicas says so.`);
    return replicas;
  }
  const needed = Math.ceil(spec.students / studentsPerReplica);
  const all = needed + settings.spareReplicas;
  why.push(
    `${counted(all, 'gateway')}: ${counted(spec.students, 'student')} at ${studentsPerReplica} a gateway need ${needed}, and ${settings.spareReplicas} to spare takes the students of one that dies.`,
  );
  return all;
}

function shardsOf(spec: ExamSpec, existing: number | null, why: string[]): number {
  const { shards, studentsPerShard } = spec.redis;
  const wanted = shards ?? Math.ceil(spec.students / studentsPerShard);
  if (existing !== null) {
    const than = wanted === existing ? '' : ` (by the session as it is now there would be ${wanted})`;
    why.push(`${counted(existing, 'shard')}: they exist, and what exists is never re-sharded${than}.`);
    return existing;
  }
  why.push(
    shards === undefined
      ? `${counted(wanted, 'shard')}: ${counted(spec.students, 'student')} at ${studentsPerShard} a shard.`
      : `${counted(wanted, 'shard')}: spec.redis.shards says so.`,
  );
  return wanted;
}

function gatewayOf(spec: ExamSpec, replicas: number, settings: CapacitySettings, why: string[]): Capacity['gateway'] {
  const students = Math.ceil(spec.students / Math.max(1, replicas - settings.spareReplicas));
  const connections = Math.max(students, spec.gateway.studentsPerReplica) * settings.gatewayConnectionsFactor;
  const memoryBytes = roundUp(
    settings.gatewayBaseBytes + settings.gatewayBufferBytes + connections * settings.gatewayBytesPerStudent,
    64 * MiB,
  );
  why.push(
    `${quantity(memoryBytes)} a gateway: ${quantity(settings.gatewayBaseBytes)} to run, ${quantity(settings.gatewayBufferBytes)} of answers on their way, and ${quantity(settings.gatewayBytesPerStudent)} for each of the ${connections.toLocaleString('en')} connections after which it sends new ones elsewhere.`,
  );
  return { cpu: settings.gatewayCpu, memoryBytes, connections };
}

function redisOf(spec: ExamSpec, shards: number, settings: CapacitySettings, why: string[]): Capacity['redis'] {
  const { perStudent, bytes } = spec.answers;
  const students = fullestShard(spec.students, shards);
  const events = students * perStudent;
  const held =
    events * (bytes + settings.memoryBytesPerEvent) +
    students * settings.writersPerStudent * settings.memoryBytesPerWriter;
  const maxmemoryBytes = roundUp(Math.max(held / settings.fullAt, settings.redisLeastMaxmemory), 64 * MiB);
  const memoryBytes = roundUp(maxmemoryBytes * 1.1 + settings.redisBaseBytes, 64 * MiB);
  why.push(
    `${quantity(memoryBytes)} a shard: ${counted(students, 'student')}${shards === 1 ? '' : ' (hashing is a little uneven)'} with ${perStudent} events of ${bytes} bytes make ${megabytes(held)}; with new events refused at ${settings.fullAt * 100} % maxmemory is ${quantity(maxmemoryBytes)}, and a tenth and ${quantity(settings.redisBaseBytes)} more is for Redis itself.`,
  );
  const file = events * (bytes + settings.diskBytesPerEvent);
  const storageBytes = roundUp(Math.max(file / settings.fullAt, settings.redisLeastStorage), GiB);
  why.push(
    `${quantity(storageBytes)} of storage a shard: the append-only file grows to about ${megabytes(file)}, with at most ${settings.diskBytesPerEvent} bytes an event beside the answer, and is not to pass ${settings.fullAt * 100} %.`,
  );
  const reloadSeconds = Math.ceil(file / settings.reloadBytesPerSecond);
  why.push(
    `A shard that was killed is back after at most ${reloadSeconds} s: it loads ${megabytes(file)} at ${megabytes(settings.reloadBytesPerSecond)} a second.`,
  );
  return { cpu: settings.redisCpu, memoryBytes, maxmemoryBytes, storageBytes, reloadSeconds };
}

/** Students of the fullest shard: the mean and four standard deviations of a fair hash. */
function fullestShard(students: number, shards: number): number {
  const mean = students / shards;
  return shards === 1 ? students : Math.min(students, Math.ceil(mean + 4 * Math.sqrt(mean)));
}

const MiB = 1024 ** 2;
const GiB = 1024 ** 3;

function roundUp(value: number, step: number): number {
  return Math.ceil(value / step) * step;
}

/** Bytes as Kubernetes writes them, in the largest unit that is exact; rounded up to KiB. */
export function quantity(bytes: number): string {
  if (bytes % GiB === 0) return `${bytes / GiB}Gi`;
  if (bytes % MiB === 0) return `${bytes / MiB}Mi`;
  return `${Math.ceil(bytes / 1024)}Ki`;
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 1e6).toLocaleString('en')} MB`;
}

function counted(n: number, noun: string): string {
  return `${n.toLocaleString('en')} ${noun}${n === 1 ? '' : 's'}`;
}
