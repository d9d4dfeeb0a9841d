import { randomBytes, randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import { findRedisBinary } from '#operator/local/redisbinary.ts';
import { openShard, type Shard } from '#queue/connect.ts';
import { initShard } from '#queue/init.ts';
import { generateReceiptKeys } from '#queue/receipt.ts';
import { redisConfigLines } from '#queue/redisconfig.ts';
import { writeSession } from '#queue/session.ts';
import { type BenchProcess, start } from './processes.ts';

const host = '127.0.0.1';
const exam = 'bench';

/** One Redis shard, with its identity and session, as a gateway and an exporter expect it. */
export interface BenchShard {
  readonly pid: number;
  readonly uid: string;
  readonly port: number;
  readonly incarnation: string;
  readonly shard: Shard;
  stop(): Promise<void>;
}

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, host);
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('the system gave no port');
  return address.port;
}

export async function startShard(folder: string, core: number | null): Promise<BenchShard> {
  const port = await freePort();
  const dir = join(folder, `redis-${port}`);
  mkdirSync(dir, { recursive: true });
  const config = join(dir, 'redis.conf');
  const settings = { dir, port, bind: host, maxmemoryBytes: 8 * 2 ** 30, logFile: join(dir, 'redis.log') };
  writeFileSync(config, `${redisConfigLines(settings).join('\n')}\n`);
  const redis = start(core, [(await findRedisBinary()).path, config]);
  const identity = { uid: randomUUID(), shard: 0, shards: 1, incarnation: randomUUID() };
  await retryUntilUp(() => initShard({ host, port }, { ...identity, exam }));
  const shard = openShard({ endpoint: { host, port }, identity, name: 'bench' });
  await shard.ready(10_000);
  await writeSession(shard, { phase: 'Active', closesAt: null, graceMs: 0, late: 'Refuse', full: false });
  return {
    ...identity,
    pid: redis.pid,
    port,
    shard,
    async stop() {
      await shard.close();
      await redis.stop();
    },
  };
}

/** Repeats while the server starts, for at most 10 s. */
async function retryUntilUp(act: () => Promise<unknown>): Promise<void> {
  for (const giveUpAt = Date.now() + 10_000; ; ) {
    try {
      await act();
      return;
    } catch (error) {
      if (Date.now() > giveUpAt) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

export interface BenchGateway extends BenchProcess {
  readonly port: number;
  token(student: string): Promise<string>;
}

/** Limits that one student's share of a benchmark's load would meet; they protect others, here there are none. */
const liftedLimits = { studentMessagesPerSecond: 1e9, studentMessageBurst: 1e9, eventLoopDelayMs: 60_000 };

/** @param nodeArgs options for the gateway's Node, such as a profiler's */
export async function startGateway(
  folder: string,
  core: number | null,
  shard: BenchShard,
  nodeArgs: readonly string[] = [],
): Promise<BenchGateway> {
  const [port, opsPort] = [await freePort(), await freePort()];
  const file = (name: string, text: string) => {
    const path = join(folder, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  const secret = randomBytes(32);
  const secretFile = file('token.key', secret.toString('base64url'));
  const config = {
    session: { name: exam, uid: shard.uid, exam, rehearsal: false },
    listen: { host, port },
    ops: { host, port: opsPort },
    shards: [{ host, port: shard.port, incarnation: shard.incarnation }],
    auth: { secretFile, audience: exam },
    receipt: { privateKeyFile: file('receipt.pem', generateReceiptKeys().privateKey) },
    connectionTokenKeyFile: secretFile,
    logLevel: 'warn',
    limits: liftedLimits,
  };
  const command = [
    process.execPath,
    ...nodeArgs,
    'gateway/main.ts',
    '--config',
    file('gateway.json', JSON.stringify(config)),
  ];
  const gateway = start(core, command);
  await retryUntilUp(async () => {
    const ready = await fetch(`http://${host}:${opsPort}/ready`);
    if (!ready.ok) throw new Error(`the gateway is not ready: ${ready.status}`);
  });
  const token = (student: string) =>
    new SignJWT({})
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject(student)
      .setAudience(exam)
      .setExpirationTime('1h')
      .sign(secret);
  return { ...gateway, port, token };
}
