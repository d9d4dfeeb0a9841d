import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { backoff, jitter } from './backoff.ts';
import { dropClient, type Endpoint, openClient, within } from './client.ts';
import { compareEntryIds } from './entryid.ts';
import { type Problem, problem } from './problem.ts';
import { asProblem, verdictOf } from './replyerror.ts';
import { askShard, judgeShard, type ShardIdentity } from './shardcheck.ts';

// One connection to one shard, made again whenever it ends, and checked each time before anybody may use it.
//
//   connecting   no connection, or one that is being checked; `problem` says what went wrong last
//   ready        connected and checked; a `problem` then says that Redis cannot write now (disk or memory full)
//   refused      this Redis is not ours, or not safe, or does not let us: not used; asked again slowly
//   lost         it has lost data that was acknowledged: not used, an alarm; asked again slowly
//   broken       an unknown error, for good: nobody knows what it did, so nothing is repeated
//   closed       for good
//
//   connecting -> ready          connected, and every check passed
//   connecting -> refused, lost  a check failed
//   refused, lost -> ready       a later check passed: somebody mended it
//   ready -> connecting          the connection ended, or a command got no answer in time
//   ready -> lost                lose(): a script's answer shows that data is missing
//   any -> broken, closed        breakDown(), close()

/** Where a connection stands. `problem` is for people: it is shown in health and status. */
export interface ShardState {
  readonly phase: 'connecting' | 'ready' | 'refused' | 'lost' | 'broken' | 'closed';
  readonly problem?: Problem;
}

/** The few methods of a pino logger that are used here. */
export interface ShardLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Times in ms. Every wait is bounded by one of them. */
export interface ShardTiming {
  /** For connecting, for the checks, and for each command: without an answer by then the connection is dropped. */
  readonly commandTimeoutMs: number;
  /** First and longest pause before connecting again; it doubles, and is shortened at random by up to a half. */
  readonly retryMs: number;
  readonly maxRetryMs: number;
  /** Pause before a Redis is asked again that was refused, or had lost data. */
  readonly slowRetryMs: number;
}

const defaultTiming = {
  commandTimeoutMs: 5_000,
  retryMs: 50,
  maxRetryMs: 2_000,
  slowRetryMs: 5_000,
} satisfies ShardTiming;

export interface ShardOptions {
  readonly endpoint: Endpoint;
  readonly identity: ShardIdentity;
  /** Name of the connection, as CLIENT LIST shows it: which program, which process. Without spaces. */
  readonly name: string;
  readonly logger?: ShardLogger;
  readonly onState?: (state: ShardState) => void;
  /** Closes the connection when aborted. */
  readonly signal?: AbortSignal;
  readonly timing?: Partial<ShardTiming>;
}

/** A checked connection to one shard. */
export interface Shard {
  readonly state: ShardState;
  readonly identity: ShardIdentity;
  /**
   * Runs commands on a connection that passed every check. Rejects with a Problem: `shard_not_ready` when there is
   * none; `shard_unreachable` or `shard_timeout` when it ended meanwhile (then nobody knows whether they ran, and the
   * connection is dropped, so that a late answer is never taken for another's).
   * @param timeoutMs for all of `fn`; default `commandTimeoutMs`
   */
  run<T>(fn: (redis: Redis) => Promise<T>, timeoutMs?: number): Promise<T>;
  /** Resolves when ready; rejects with the last Problem after `timeoutMs`, at once when broken, closed or aborted. */
  ready(timeoutMs: number, signal?: AbortSignal): Promise<void>;
  /** Remembers an acknowledged entry: a Redis that ends before it has lost data. So does each check, of the last one. */
  saw(entryId: string): void;
  /** Shows (or, with null, no longer shows) that a ready Redis cannot write. */
  trouble(problem: Problem | null): void;
  /** Stops using this Redis because an answer shows lost data; it is asked again slowly. */
  lose(problem: Problem): void;
  /** Stops for good, after an unknown error. */
  breakDown(problem: Problem): void;
  close(): Promise<void>;
}

/** Connects in the background and keeps connected until closed. Never throws: `state` and `ready` tell. */
export function openShard(options: ShardOptions): Shard {
  const { identity, logger } = options;
  const timing = { ...defaultTiming, ...options.timing };
  const stop = new AbortController();
  const waiters = new Set<() => void>();
  let state: ShardState = { phase: 'connecting' };
  let client: Redis | null = null;
  let seenId: string | null = null;

  function enter(next: ShardState): void {
    if (state.phase === 'closed' || (state.phase === 'broken' && next.phase !== 'closed')) return;
    const isNews = next.phase !== state.phase || next.problem?.message !== state.problem?.message;
    state = next;
    if (next.phase !== 'ready') client = null;
    if (!isNews) return;
    report(next);
    options.onState?.(next);
    for (const waiter of [...waiters]) waiter();
  }

  function report({ phase, problem }: ShardState): void {
    const level = phase === 'lost' || phase === 'broken' ? 'error' : problem ? 'warn' : 'info';
    const fields = { shard: identity.shard, phase, code: problem?.code, remedy: problem?.remedy };
    logger?.[level](fields, problem ? `shard ${phase}: ${problem.message}` : `shard ${phase}`);
  }

  function saw(entryId: string): void {
    if (seenId === null || compareEntryIds(entryId, seenId) > 0) seenId = entryId;
  }

  /** Connects, checks, and stays until the connection ends. Rejects when it could not even be made. */
  async function serveOnce(): Promise<void> {
    const redis = await openClient(options.endpoint, options.name, timing.commandTimeoutMs);
    try {
      const ended = new Promise<void>((resolve) => redis.once('end', resolve));
      const facts = await within(timing.commandTimeoutMs, askShard(redis, identity.incarnation), 'the checks');
      const wrong = judgeShard(facts, identity, seenId);
      if (wrong) throw wrong;
      // What is there after the barrier is durable, whoever appended it: a Redis that ends before it has lost data.
      if (facts.lastId !== null) saw(facts.lastId);
      if (stop.signal.aborted || redis.status === 'end') return;
      client = redis;
      enter({ phase: 'ready' });
      await ended;
      if (state.phase === 'ready')
        enter({ phase: 'connecting', problem: asProblem(new Error('Connection is closed.')) });
    } finally {
      dropClient(redis);
    }
  }

  async function keepServing(): Promise<void> {
    for (let failures = 0; !stop.signal.aborted; ) {
      try {
        await serveOnce();
        failures = 0;
      } catch (error) {
        failures += 1;
        enter(stateAfter(error));
      }
      const isSlow = state.phase === 'refused' || state.phase === 'lost';
      await sleep(
        isSlow ? jitter(timing.slowRetryMs) : backoff(failures, { first: timing.retryMs, most: timing.maxRetryMs }),
        null,
        {
          signal: stop.signal,
        },
      ).catch(() => undefined);
    }
  }

  async function run<T>(fn: (redis: Redis) => Promise<T>, timeoutMs = timing.commandTimeoutMs): Promise<T> {
    const redis = client;
    if (!redis) throw notReady(state);
    try {
      return await within(timeoutMs, fn(redis), 'a command');
    } catch (error) {
      // Foreign: the Redis behind a checked connection is not what it was, so let the checks say what it is.
      const known = asProblem(error);
      if (verdictOf(known) === 'reconnect' || known.code === 'shard_foreign') {
        // Not ready from this moment on, so that nobody repeats in vain until the socket has closed.
        if (redis === client) enter({ phase: 'connecting', problem: known });
        dropClient(redis);
      }
      throw known;
    }
  }

  function ready(timeoutMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const check = () => {
        if (['ready', 'broken', 'closed'].includes(state.phase)) settle();
      };
      const settle = () => {
        clearTimeout(timer);
        waiters.delete(check);
        signal?.removeEventListener('abort', settle);
        if (state.phase === 'ready') resolve();
        else reject(notReady(state));
      };
      const timer = setTimeout(settle, timeoutMs);
      waiters.add(check);
      signal?.addEventListener('abort', settle);
      if (signal?.aborted) settle();
      else check();
    });
  }

  function end(next: ShardState): void {
    const redis = client;
    enter(next);
    if (next.phase !== 'lost') stop.abort();
    if (redis) dropClient(redis);
  }

  const done = keepServing();
  options.signal?.addEventListener('abort', () => end({ phase: 'closed' }), { once: true });
  if (options.signal?.aborted) end({ phase: 'closed' });

  return {
    get state() {
      return state;
    },
    identity,
    run,
    ready,
    saw,
    trouble(trouble) {
      if (state.phase === 'ready') enter(trouble ? { phase: 'ready', problem: trouble } : { phase: 'ready' });
    },
    lose: (lost) => end({ phase: 'lost', problem: lost }),
    breakDown: (broken) => end({ phase: 'broken', problem: broken }),
    async close() {
      end({ phase: 'closed' });
      await done;
    },
  };
}

/** While a Redis is checked nothing was written to it, so even an unknown error only means: not this one, not now. */
function stateAfter(error: unknown): ShardState {
  const known = asProblem(error);
  if (known.code === 'shard_lost') return { phase: 'lost', problem: known };
  const verdict = verdictOf(error);
  return { phase: verdict === 'refused' || verdict === 'broken' ? 'refused' : 'connecting', problem: known };
}

function notReady(state: ShardState): Problem {
  return problem(
    'shard_not_ready',
    `the shard is ${state.phase}${state.problem ? `: ${state.problem.message}` : ''}`,
    state.problem?.remedy ?? 'Wait until it is connected.',
    { cause: state.problem },
  );
}
