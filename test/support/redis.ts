import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findRedisBinary } from '#operator/local/redisbinary.ts';
import { type RedisSettings, redisConfigLines } from '#queue/redisconfig.ts';
import { onScopeEnd } from './cleanup.ts';
import { freePort } from './freeport.ts';
import { tmpFolder } from './tmp.ts';
import { until } from './until.ts';

export interface StartRedisOptions extends Partial<Pick<RedisSettings, 'dir' | 'port' | 'aclFile' | 'tls'>> {
  /** 256 MiB when left out. */
  readonly maxmemoryBytes?: number;
  /** Added to the command line, where they win over the file: `['--appendfsync', 'everysec']`. */
  readonly extraArgs?: readonly string[];
}

/** A real Redis with the settings of queue/redisconfig.ts. It is killed at the end of the test. */
export interface TestRedis {
  readonly host: '127.0.0.1';
  /** Stays the same over restarts, like `dir`. */
  readonly port: number;
  readonly dir: string;
  /** Of the running process; throws when there is none. */
  readonly pid: number;
  readonly running: boolean;
  readonly configLines: readonly string[];
  /** Everything that it said on stdout and stderr, over all restarts. */
  readonly log: string;
  /** SIGKILL; resolves when the process is gone. */
  kill9(): Promise<void>;
  /** SIGSTOP and SIGCONT: alive, and silent. */
  pause(): void;
  resume(): void;
  /** Starts again on the same folder and port, after SIGKILL when it still runs. Resolves when it answers. */
  restart(): Promise<void>;
  /** SIGTERM; resolves when the process is gone. */
  stop(): Promise<void>;
}

const startTimeoutMs = 20_000;
const portTries = 5;

/** Starts a Redis and resolves when it has loaded its data and answers commands. */
export async function startRedis(options: StartRedisOptions = {}): Promise<TestRedis> {
  const { path } = await findRedisBinary();
  const dir = options.dir ?? tmpFolder('redis');
  for (let tries = portTries; ; tries--) {
    const port = options.port ?? (await freePort());
    const redis = controlRedis({ path, dir, port, options });
    try {
      await redis.restart();
      return redis;
    } catch (error) {
      const portWasTaken = options.port === undefined && redis.log.includes('Address already in use');
      if (!portWasTaken || tries === 0) throw error;
    }
  }
}

interface Server {
  readonly path: string;
  readonly dir: string;
  readonly port: number;
  readonly options: StartRedisOptions;
}

function controlRedis({ path, dir, port, options }: Server): TestRedis {
  const { extraArgs = [], maxmemoryBytes = 268_435_456, aclFile, tls } = options;
  const accounts = aclFile === undefined ? {} : { aclFile };
  const encryption = tls === undefined ? {} : { tls };
  const configLines = redisConfigLines({ dir, port, bind: '127.0.0.1', maxmemoryBytes, ...accounts, ...encryption });
  const file = join(dir, 'redis.conf');
  writeFileSync(file, `${configLines.join('\n')}\n`);

  let child: ChildProcess | null = null;
  let log = '';
  const end = async (signal: 'SIGKILL' | 'SIGTERM') => {
    if (child === null) return;
    const gone = once(child, 'close');
    child.kill(signal);
    if (signal === 'SIGTERM') child.kill('SIGCONT');
    await gone;
  };
  const start = async () => {
    const started = spawn(path, [file, ...extraArgs], { stdio: ['ignore', 'pipe', 'pipe'] });
    child = started;
    const from = log.length;
    for (const output of [started.stdout, started.stderr]) {
      output.setEncoding('utf8').on('data', (text: string) => {
        log += text;
      });
    }
    started.once('error', (error) => {
      log += error.message;
    });
    started.once('close', () => {
      if (child === started) child = null;
    });
    // Redis says this when its data is loaded, right before it serves commands. Unlike PING it needs no account.
    const ready = () => child !== started || log.includes('Ready to accept connections', from);
    await until(ready, { what: `Redis on port ${port} to be ready`, timeoutMs: startTimeoutMs });
    if (child !== started) throw new Error(`Redis ended at its start:\n${log.slice(from)}`);
  };
  onScopeEnd(() => end('SIGKILL'));
  const signal = (name: NodeJS.Signals) => {
    if (child === null) throw new Error('this Redis does not run');
    child.kill(name);
  };
  return {
    host: '127.0.0.1',
    port,
    dir,
    configLines,
    get pid() {
      if (child?.pid === undefined) throw new Error('this Redis does not run');
      return child.pid;
    },
    get running() {
      return child !== null;
    },
    get log() {
      return log;
    },
    kill9: () => end('SIGKILL'),
    pause: () => signal('SIGSTOP'),
    resume: () => signal('SIGCONT'),
    restart: async () => {
      await end('SIGKILL');
      await start();
    },
    stop: () => end('SIGTERM'),
  };
}
