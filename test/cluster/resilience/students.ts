import { hash } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeAnswer } from '#cli/answers.ts';
import { openLedger } from '#cli/ledger.ts';
import { seededRandom } from '#cli/random.ts';
import { createMint } from '#cli/studenttoken.ts';
import { createExamClient } from '#client/client.ts';
import type { ExamClient } from '#client/examclient.ts';
import { memoryOutbox } from '#client/memoryoutbox.ts';
import { nodeSha256 } from '#client/nodesha.ts';
import { nodeConnect } from '#client/nodesocket.ts';
import { objectNames, type SessionRef } from '#operator/kubernetes/names.ts';
import { shardOf } from '#queue/identity.ts';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { tmpFolder } from '#test/support/tmp.ts';
import { until } from '#test/support/until.ts';
import type { Hall } from './hall.ts';
import { kinds } from './hall.ts';

/** Students with the project's client who answer until they are told to stop, and write down what was acknowledged. */
export interface Class {
  readonly ledger: string;
  /** Answers that were ever acknowledged. */
  readonly acknowledged: number;
  /** Of those, the ones of students whose shard this is. */
  acknowledgedOf(shard: number): number;
  readonly connected: number;
  /** Codes of what alarmed their clients, or was worth a line in a log. */
  readonly told: readonly string[];
  /** How many clients know that all of it is verified. */
  readonly verified: number;
  /** Waits for so many more acknowledgements. */
  goOn(answers: number, timeoutMs?: number): Promise<void>;
  /** No more answers; resolves when all are acknowledged. The pages stay open. */
  settle(timeoutMs?: number): Promise<void>;
  /** The longest time in which nobody got anything acknowledged while somebody waited, ms, since the last call. */
  gapMs(): number;
}

/** Each student's mean pause between two answers. */
const pauseMs = 600;

export async function seatClass(hall: Hall, ref: SessionRef, students = 50): Promise<Class> {
  const { door, mint } = await doorOf(hall, ref);
  const path = join(tmpFolder('class'), 'ledger.ndjson');
  const ledger = openLedger(path, 'fresh');
  const stopped = new AbortController();
  const told: string[] = [];
  let lastAt = performance.now();
  let gap = 0;
  const { shards } = (await hall.status(ref))!.plan;
  const ofShard = new Map<number, number>();
  const acknowledge = (student: string, writer: string, seq: number, sha256: string) => {
    const shard = shardOf(student, shards);
    ofShard.set(shard, (ofShard.get(shard) ?? 0) + 1);
    ledger.append({ student, writer, seq, sha256 });
    gap = Math.max(gap, performance.now() - lastAt);
    lastAt = performance.now();
  };
  const clients = Array.from({ length: students }, (_, number) => {
    const student = `student-${number}`;
    const options = { door, token: () => mint(student), told, acknowledge, random: seededRandom(number) };
    return sit(student, options, stopped.signal);
  });
  onScopeEnd(async () => {
    stopped.abort();
    await Promise.all(clients.map(({ leave }) => leave()));
    ledger.close();
  });
  const count = (is: (client: ExamClient) => boolean) => clients.filter(({ client }) => is(client)).length;

  return {
    ledger: path,
    told,
    get acknowledged() {
      return ledger.entries;
    },
    acknowledgedOf: (shard) => ofShard.get(shard) ?? 0,
    get connected() {
      return count(({ state }) => state.phase === 'open');
    },
    get verified() {
      return count(({ state }) => state.verified !== null);
    },
    async goOn(answers, timeoutMs = 30_000) {
      const enough = ledger.entries + answers;
      const what = () => `${answers} more acknowledgements (${told.slice(-3).join(', ')})`;
      await until(() => ledger.entries >= enough, { what: what(), timeoutMs, everyMs: 100 });
    },
    async settle(timeoutMs = 30_000) {
      stopped.abort();
      const all = () => count(({ state }) => state.stored > state.durable) === 0;
      await until(all, { what: 'all answers to be acknowledged', timeoutMs, everyMs: 100 });
      ledger.flush();
    },
    gapMs() {
      const longest = Math.round(Math.max(gap, performance.now() - lastAt));
      gap = 0;
      lastAt = performance.now();
      return longest;
    },
  };
}

/** Where students come in. */
interface Door {
  /** Of the Service, which this machine reaches as the cluster's pods do; another one when it was made again. */
  address: string;
}

const doorEveryMs = 1_000;

async function doorOf({ api, namespace }: Hall, ref: SessionRef) {
  const names = objectNames(ref);
  const door: Door = { address: '' };
  const look = async () => {
    const service = await api.get({ ...kinds.Service, namespace, name: names.gateway });
    if (service !== null) door.address = (service.spec as { clusterIP: string }).clusterIP;
  };
  await look();
  const timer = setInterval(() => void look().catch(() => {}), doorEveryMs);
  onScopeEnd(() => clearInterval(timer));
  const secret = await api.get({ ...kinds.Secret, namespace, name: names.secrets.gateway });
  const { 'token.key': packed = '' } = secret!.data as Record<string, string>;
  const key = Buffer.from(Buffer.from(packed, 'base64').toString(), 'base64url');
  const { mint } = createMint(key, { audience: ref.name, issuer: undefined, rehearsal: false });
  return { door, mint: (student: string) => mint(student, 3_600_000) };
}

interface SeatOptions {
  readonly door: Door;
  readonly token: () => Promise<string>;
  readonly told: string[];
  readonly random: () => number;
  acknowledge(student: string, writer: string, seq: number, sha256: string): void;
}

const connectByNode = nodeConnect();

function sit(student: string, { door, token, told, random, acknowledge }: SeatOptions, stopped: AbortSignal) {
  /** Of every answer, by its seq from 1 on. */
  const sums: string[] = [];
  let known = 0;
  const client = createExamClient({
    ...{ url: 'http://door/exam', token, random, outbox: memoryOutbox(), sha256: nodeSha256 },
    // As a name is looked up for every connection.
    connect: (url, ...given) => connectByNode(url.replace('//door/', `//${door.address}/`), ...given),
    onAlarm: ({ code }) => void told.push(code),
    onNotice: ({ code }) => void told.push(code),
    onDurable(seq) {
      const { writer } = client.state;
      while (known < seq) acknowledge(student, writer!, ++known, sums[known - 1]!);
    },
  });

  async function answer(): Promise<void> {
    await client.open();
    while (!stopped.aborted) {
      const event = makeAnswer(random, sums.length + 1, Date.now());
      sums.push(hash('sha256', Buffer.from(JSON.stringify(event)), 'hex'));
      await client.submit(event);
      await sleep(pauseMs * (0.5 + random()), undefined, { signal: stopped }).catch(() => {});
    }
  }

  const answering = answer().catch((error: Error & { code?: string }) => void told.push(error.code ?? error.message));
  return {
    client,
    async leave() {
      await client.close();
      await answering;
    },
  };
}
