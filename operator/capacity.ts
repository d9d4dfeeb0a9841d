import type { ExamSpec } from './examsession.ts';
import { numberOf } from './quantity.ts';
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
  const cpu = Math.round((replicas * gateway.cpu + shards * redis.cpu) * 1_000) / 1_000;
  const memoryBytes = replicas * gateway.memoryBytes + shards * redis.memoryBytes;
  const storageBytes = shards * redis.storageBytes;
  why.push(
    `In all: ${cpu} cores (${coresText(spec)}), ${quantity(memoryBytes)} of memory, ${quantity(storageBytes)} of storage.`,
  );
  return { replicas, shards, gateway, redis, cpu, memoryBytes, storageBytes, why };
}

function replicasOf(spec: ExamSpec, settings: CapacitySettings, why: string[]): number {
  const { replicas, studentsPerReplica, minReplicas = 1, maxReplicas = Number.POSITIVE_INFINITY } = spec.gateway;
  if (replicas !== undefined) {
    why.push(`${counted(replicas, 'gateway')}: spec.gateway.replicas says so.`);
    return replicas;
  }
  const needed = Math.ceil(spec.students / studentsPerReplica);
  const planned = needed + settings.spareReplicas;
  const all = Math.min(Math.max(planned, minReplicas), maxReplicas);
  const bound =
    all > planned
      ? `; spec.gateway.minReplicas says at least ${minReplicas}`
      : all < planned
        ? `; spec.gateway.maxReplicas says at most ${maxReplicas}, so each is to take more of them`
        : '';
  why.push(
    `${counted(all, 'gateway')}: ${counted(spec.students, 'student')} at ${studentsPerReplica} a gateway need ${needed}, and ${settings.spareReplicas} to spare takes the students of one that dies${bound}.`,
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

/** Whose cores these are: a thread each, or as asked for. */
function coresText({ gateway, redis }: ExamSpec): string {
  const given = [
    ...(gateway.resources?.cpu === undefined ? [] : ['a gateway as spec.gateway.resources.cpu says']),
    ...(redis.resources?.cpu === undefined ? [] : ['a shard as spec.redis.resources.cpu says']),
  ];
  const [first] = given;
  if (first === undefined) return 'each gateway and each shard uses one thread';
  if (given.length > 1) return given.join(', ');
  return `${first}, a ${first.startsWith('a gateway') ? 'shard' : 'gateway'} uses one thread`;
}

function gatewayOf(spec: ExamSpec, replicas: number, settings: CapacitySettings, why: string[]): Capacity['gateway'] {
  const { studentsPerReplica, resources } = spec.gateway;
  const students = Math.ceil(spec.students / Math.max(1, replicas - settings.spareReplicas));
  const connections = Math.max(students, studentsPerReplica) * settings.gatewayConnectionsFactor;
  const planned = roundUp(
    settings.gatewayBaseBytes + settings.gatewayBufferBytes + connections * settings.gatewayBytesPerStudent,
    64 * MiB,
  );
  const memoryBytes = bytesOf(resources?.memory) ?? planned;
  const less = memoryBytes < planned ? ' It gets less: one that needs more is ended and started again.' : '';
  why.push(
    `${amountText(resources?.memory, planned, 'a gateway', 'spec.gateway.resources.memory')} ${quantity(settings.gatewayBaseBytes)} to run, ${quantity(settings.gatewayBufferBytes)} of answers on their way, and ${quantity(settings.gatewayBytesPerStudent)} for each of the ${connections.toLocaleString('en')} connections after which it sends new ones elsewhere.${less}`,
  );
  return { cpu: numberOf(resources?.cpu) ?? settings.gatewayCpu, memoryBytes, connections };
}

function redisOf(spec: ExamSpec, shards: number, settings: CapacitySettings, why: string[]): Capacity['redis'] {
  const students = fullestShard(spec.students, shards);
  const events = students * spec.answers.perStudent;
  const memory = shardMemory(spec, shards, events, settings, why);
  const file = events * (spec.answers.bytes + settings.diskBytesPerEvent);
  const storageBytes = shardStorage(spec, file, settings, why);
  const reloadSeconds = Math.ceil(file / settings.reloadBytesPerSecond);
  why.push(
    `A shard that was killed is back after at most ${reloadSeconds} s: it loads ${megabytes(file)} at ${megabytes(settings.reloadBytesPerSecond)} a second.`,
  );
  const cpu = numberOf(spec.redis.resources?.cpu) ?? settings.redisCpu;
  return { cpu, ...memory, storageBytes, reloadSeconds };
}

function shardMemory(
  { answers, students: all, redis }: ExamSpec,
  shards: number,
  events: number,
  settings: CapacitySettings,
  why: string[],
): Pick<Capacity['redis'], 'memoryBytes' | 'maxmemoryBytes'> {
  const students = fullestShard(all, shards);
  const held =
    events * (answers.bytes + settings.memoryBytesPerEvent) +
    students * settings.writersPerStudent * settings.memoryBytesPerWriter;
  const neededMaxmemory = roundUp(Math.max(held / settings.fullAt, settings.redisLeastMaxmemory), 64 * MiB);
  const needed = roundUp(memoryFor(neededMaxmemory, settings), 64 * MiB);
  const { memory: given } = redis.resources ?? {};
  const givenBytes = bytesOf(given);
  const maxmemoryBytes = givenBytes === null ? neededMaxmemory : maxmemoryWithin(givenBytes, settings);
  const memoryBytes =
    givenBytes === null ? needed : Math.max(givenBytes, Math.ceil(memoryFor(maxmemoryBytes, settings)));
  const share = fullShare(maxmemoryBytes * settings.fullAt, held);
  const instead = givenBytes === null ? '' : ` With ${given} maxmemory is ${quantity(maxmemoryBytes)}${share}.`;
  why.push(
    `${amountText(given, needed, 'a shard', 'spec.redis.resources.memory')} ${counted(students, 'student')}${shards === 1 ? '' : ' (hashing is a little uneven)'} with ${answers.perStudent} events of ${answers.bytes} bytes make ${megabytes(held)}; with new events refused at ${settings.fullAt * 100} % maxmemory is ${quantity(neededMaxmemory)}, and a tenth and ${quantity(settings.redisBaseBytes)} more is for Redis itself.${instead}`,
  );
  return { memoryBytes, maxmemoryBytes };
}

/** @param file bytes of the append-only file of a full shard */
function shardStorage({ redis }: ExamSpec, file: number, settings: CapacitySettings, why: string[]): number {
  const planned = roundUp(Math.max(file / settings.fullAt, settings.redisLeastStorage), GiB);
  const storageBytes = bytesOf(redis.storage) ?? planned;
  const share = fullShare(storageBytes * settings.fullAt, file);
  const less = share === '' ? '' : ` With ${redis.storage} it has less${share}.`;
  why.push(
    `${amountText(redis.storage, planned, 'of storage a shard', 'spec.redis.storage')} the append-only file grows to about ${megabytes(file)}, with at most ${settings.diskBytesPerEvent} bytes an event beside the answer, and is not to pass ${settings.fullAt * 100} %.${less}`,
  );
  return storageBytes;
}

/** The amount and whose it is, before its reason: as worked out, or as the session says, and then what was worked out. */
function amountText(given: string | undefined, plannedBytes: number, what: string, field: string): string {
  const planned = quantity(plannedBytes);
  return given === undefined ? `${planned} ${what}:` : `${given} ${what}: ${field} says so. Worked out are ${planned}:`;
}

/** What follows when less can be used than is needed; nothing when it is enough. */
function fullShare(usable: number, needed: number): string {
  return usable >= needed ? '' : `: full after ${Math.floor((usable / needed) * 100)} % of these events`;
}

/** The memory that a Redis needs: a tenth more than its `maxmemory`, and what it needs itself; bytes, not rounded. */
export function memoryFor(
  maxmemoryBytes: number,
  { redisBaseBytes }: Pick<CapacitySettings, 'redisBaseBytes'>,
): number {
  return maxmemoryBytes * 1.1 + redisBaseBytes;
}

/** The other way round; whoever gives next to nothing gets a Redis that starts, and is full soon. */
export function maxmemoryWithin(
  memoryBytes: number,
  { redisBaseBytes }: Pick<CapacitySettings, 'redisBaseBytes'>,
): number {
  return Math.max(leastMaxmemory, Math.floor((memoryBytes - redisBaseBytes) / 1.1 / MiB) * MiB);
}

/** Whole bytes, as Kubernetes counts them: rounded up. Null for what is left out. */
function bytesOf(given: string | undefined): number | null {
  const bytes = numberOf(given);
  return bytes === null ? null : Math.ceil(bytes);
}

/** Students of the fullest shard: the mean and four standard deviations of a fair hash. */
function fullestShard(students: number, shards: number): number {
  const mean = students / shards;
  return shards === 1 ? students : Math.min(students, Math.ceil(mean + 4 * Math.sqrt(mean)));
}

const MiB = 1024 ** 2;
const GiB = 1024 ** 3;
const leastMaxmemory = 32 * MiB;

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
