import { Redis, type RedisOptions } from 'ioredis';
import { problem } from './problem.ts';

/** Where a shard's Redis listens, and who we are there. Never logged whole: it holds a password. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
  readonly username?: string;
  readonly password?: string;
  /** PEM texts. An empty object asks for TLS with the system's authorities. */
  readonly tls?: {
    readonly ca?: string;
    readonly cert?: string;
    readonly key?: string;
    readonly servername?: string;
  } | null;
}

/**
 * One connection, once: ioredis re-sends and reorders when it reconnects by itself, so everything of that is off, and
 * a connection that ended is thrown away. Nothing is queued while it is not connected.
 */
function clientOptions(endpoint: Endpoint, name: string, timeoutMs: number) {
  return {
    host: endpoint.host,
    port: endpoint.port,
    username: endpoint.username,
    password: endpoint.password,
    ...(endpoint.tls ? { tls: { ...endpoint.tls } } : {}),
    connectionName: name,
    connectTimeout: timeoutMs,
    protocol: 2,
    lazyConnect: true,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    enableOfflineQueue: false,
    enableReadyCheck: false,
    disableClientInfo: true,
    keepAlive: 10_000,
  } satisfies RedisOptions;
}

/**
 * Connects and authenticates, within `timeoutMs`. Rejects with what ended it: an error reply (WRONGPASS), a system
 * error (ECONNREFUSED), a Problem `shard_timeout`.
 */
export async function openClient(endpoint: Endpoint, name: string, timeoutMs: number): Promise<Redis> {
  const redis = new Redis(clientOptions(endpoint, name, timeoutMs));
  let cause: unknown;
  redis.on('error', (error: unknown) => {
    cause ??= error;
  });
  try {
    await within(timeoutMs, redis.connect(), 'connecting');
    return redis;
  } catch (error) {
    dropClient(redis);
    throw cause ?? error;
  }
}

/** Ends a connection at once, whatever is under way on it: late replies must never be read. */
export function dropClient(redis: Redis): void {
  if (redis.status === 'end') return;
  redis.disconnect();
  redis.stream?.destroy();
}

/** Settles as `promise` does, or rejects with Problem `shard_timeout` after `timeoutMs`. */
export async function within<T>(timeoutMs: number, promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(timedOut(timeoutMs, what)), timeoutMs);
  });
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

function timedOut(timeoutMs: number, what: string) {
  return problem(
    'shard_timeout',
    `Redis did not answer within ${timeoutMs} ms (${what})`,
    'Look at the Redis of this shard and the network to it: a full disk, a stopped process, a cut link.',
  );
}
