import { randomBytes, randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import type { Health } from '#gateway/vitals.ts';
import { readLog } from '#queue/log.ts';
import { generateReceiptKeys } from '#queue/receipt.ts';
import { startShard, type TestShard } from '#test/queue/testshard.ts';
import { type Program, startProgram } from '#test/support/process.ts';
import { tmpFolder } from '#test/support/tmp.ts';
import { until } from '#test/support/until.ts';

/** Shards, keys and a configuration: what gateways of one session share. */
export interface TestSession {
  readonly uid: string;
  readonly folder: string;
  readonly shards: readonly TestShard[];
  readonly receiptPublicKey: string;
  readonly tokenKey: Buffer;
  /** A token as a student of this session has it; `claims` override, undefined takes away. */
  token(student: string, claims?: Record<string, unknown>): Promise<string>;
  /** Writes a configuration file and gives its path. */
  config(changes?: Record<string, unknown>): string;
  /** Starts a gateway as a process of its own; resolves when it listens. */
  start(changes?: Record<string, unknown>): Promise<TestGateway>;
  /** All events in the logs, in the order of each shard. */
  logged(): Promise<{ student: string; writer: string; seq: number; payload: string }[]>;
}

export interface TestGateway {
  readonly program: Program;
  readonly port: number;
  /** http://127.0.0.1:PORT/exam */
  readonly url: string;
  ops(path: string): Promise<Response>;
  health(): Promise<Health>;
}

export interface TestSessionOptions {
  readonly shards?: number;
  readonly rehearsal?: boolean;
}

/** Starts the Redis servers of a session. Everything ends with the test. */
export async function startSession({
  shards: count = 1,
  rehearsal = false,
}: TestSessionOptions = {}): Promise<TestSession> {
  const uid = randomUUID();
  const folder = tmpFolder('gateway');
  const shards = await Promise.all(
    Array.from({ length: count }, (_, shard) => startShard({ identity: { uid, shard, shards: count } })),
  );
  const keys = generateReceiptKeys();
  const tokenKey = randomBytes(32);
  writeFileSync(join(folder, 'token.key'), tokenKey.toString('base64url'));
  writeFileSync(join(folder, 'receipt.pem'), keys.privateKey);

  const config = (changes: Record<string, unknown> = {}) => {
    const path = join(folder, `gateway-${randomUUID()}.json`);
    const whole = {
      session: { name: 'algebra', uid, exam: 'algebra', rehearsal },
      listen: { host: '127.0.0.1', port: 0 },
      ops: { host: '127.0.0.1', port: 0 },
      shards: shards.map(({ endpoint, identity }) => ({ ...endpoint, incarnation: identity.incarnation })),
      auth: { secretFile: 'token.key', audience: 'algebra' },
      receipt: { privateKeyFile: 'receipt.pem' },
      connectionTokenKeyFile: 'token.key',
      drainSeconds: 1,
      logLevel: 'warn',
      ...changes,
    };
    writeFileSync(path, JSON.stringify(whole));
    return path;
  };

  return {
    uid,
    folder,
    shards,
    receiptPublicKey: keys.publicKey,
    tokenKey,
    config,
    token: (student, claims = {}) => {
      const all = { sub: student, aud: 'algebra', exp: Math.floor(Date.now() / 1_000) + 3_600, ...claims };
      const known = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
      return new SignJWT(known).setProtectedHeader({ alg: 'HS256' }).sign(tokenKey);
    },
    start: (changes) => startGatewayProcess(config(changes)),
    async logged() {
      const events = [];
      for (const { shard } of shards) {
        await shard.ready(5_000);
        for await (const entry of readLog(shard)) {
          for (const { student, writer, seq, payload } of entry.events) {
            events.push({ student, writer, seq, payload: payload.toString() });
          }
        }
      }
      return events;
    },
  };
}

interface Listening {
  readonly kind: 'listening';
  readonly port: number;
  readonly opsPort: number;
}

async function startGatewayProcess(config: string): Promise<TestGateway> {
  const program = startProgram({ argv: [process.execPath, 'gateway/main.ts', '--config', config], ipc: true });
  const listening = await until(
    () => {
      if (program.exit) throw new Error(`the gateway ended: ${program.stderr}`);
      return program.messages.find((message) => (message as Listening).kind === 'listening') as Listening | undefined;
    },
    { what: 'the gateway to listen', timeoutMs: 15_000 },
  );
  const ops = (path: string) => fetch(`http://127.0.0.1:${listening.opsPort}${path}`);
  await until(async () => (await ops('/ready')).ok, { what: 'the gateway to be ready', timeoutMs: 15_000 });
  return {
    program,
    port: listening.port,
    url: `http://127.0.0.1:${listening.port}/exam`,
    ops,
    health: async () => (await (await ops('/health')).json()) as Health,
  };
}
