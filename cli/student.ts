import { hash, type KeyObject } from 'node:crypto';
import type { Receipt } from '#client/answers.ts';
import { createExamClient } from '#client/client.ts';
import type { ExamClient } from '#client/examclient.ts';
import { memoryOutbox } from '#client/memoryoutbox.ts';
import { nodeSha256 } from '#client/nodesha.ts';
import { nodeConnect } from '#client/nodesocket.ts';
import type { Outbox } from '#client/outbox.ts';
import type { Connect, Socket } from '#client/socket.ts';
import { sharedTimers } from '#client/timers.ts';
import type { Problem } from '#queue/problem.ts';
import { checkReceipt } from '#queue/receipt.ts';
import { makeAnswer } from './answers.ts';
import type { LedgerEntry } from './ledger.ts';
import type { Random } from './random.ts';
import type { StudentPlan } from './studentplan.ts';

export interface StudentOptions {
  readonly id: string;
  readonly plan: StudentPlan;
  readonly random: Random;
  /** The hub, `http://host:port/exam`. */
  readonly url: string;
  readonly token: () => Promise<string>;
  /** The session's public key, with which the receipt is checked. */
  readonly receiptKey: KeyObject;
  /** Milliseconds since the exam began. */
  elapsed(): number;
  readonly events: StudentEvents;
}

/** What a student's side tells; it believes acknowledgements that its own client received, and nothing else. */
export interface StudentEvents {
  connected(isConnected: boolean): void;
  sent(): void;
  acknowledged(entry: LedgerEntry, latencyMs: number): void;
  finished(): void;
  alarm(student: string, problem: Problem): void;
}

/**
 * A student who plays `plan`. The life: away -> arrived (a client on a memory outbox) -> answering, now and then
 * through a reload (another client on the same outbox) or a broken connection -> finished (the receipt is there, the
 * page stays open) -> gone (`leave`).
 */
export interface Student {
  /** Plays the whole plan; resolves at the receipt, rejects with what the server refused for good or at `leave`. */
  play(): Promise<void>;
  /** Goes away, at whatever point: ends the waiting and the connection. */
  leave(): Promise<void>;
  /** What stands between this student and the receipt; null when it is there. */
  trouble(): string | null;
}

interface Waiting {
  readonly seq: number;
  readonly sha256: string;
  readonly since: number;
}

export function createStudent({ id, plan, random, url, token, receiptKey, elapsed, events }: StudentOptions): Student {
  const outbox = rememberWriter(memoryOutbox());
  /** Sent and not acknowledged yet, ascending; bounded by the plan's number of answers. */
  const waiting: Waiting[] = [];
  let seq = 0;
  let socket: Socket | null = null;
  let client: ExamClient | null = null;
  let isConnected = false;
  let isFinished = false;
  let cancelPause = () => {};

  const connect: Connect = (...given) => {
    socket = connectByNode(...given);
    return socket;
  };

  function setConnected(now: boolean): void {
    if (now === isConnected) return;
    isConnected = now;
    events.connected(now);
  }

  function durable(upTo: number): void {
    while (waiting[0] !== undefined && waiting[0].seq <= upTo) {
      const { seq, sha256, since } = waiting.shift()!;
      events.acknowledged({ student: id, writer: outbox.writer(), seq, sha256 }, performance.now() - since);
    }
  }

  async function arrive(): Promise<ExamClient> {
    client = createExamClient({
      url,
      token,
      outbox,
      connect,
      sha256: nodeSha256,
      random,
      onDurable: durable,
      onState: ({ phase }) => setConnected(phase === 'open'),
      startSpreadMs: 0, // The plan has the jitter of the start.
      onAlarm: (problem) => events.alarm(id, problem),
    });
    await client.open();
    return client;
  }

  async function answer(to: ExamClient): Promise<void> {
    const event = makeAnswer(random, seq + 1, Date.now());
    const sha256 = hash('sha256', Buffer.from(JSON.stringify(event)), 'hex');
    waiting.push({ seq: ++seq, sha256, since: performance.now() });
    events.sent();
    const numbered = await to.submit(event);
    if (numbered !== seq) throw new Error(`student ${id}: the outbox gave seq ${numbered} to answer ${seq}`);
  }

  /** A receipt that could not be shown to anybody later is none. */
  function takeReceipt({ lastSeq, receipt }: Receipt): void {
    const isMine =
      checkReceipt(receiptKey, receipt) &&
      receipt.student === id &&
      receipt.writer === outbox.writer() &&
      receipt.lastSeq === seq;
    if (!isMine || lastSeq !== seq)
      throw new Error(`student ${id}: the receipt does not hold: ${JSON.stringify(receipt)}`);
  }

  function pauseUntil(at: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const cancel = sharedTimers().after(Math.max(0, at - elapsed()), resolve);
      cancelPause = () => {
        cancel();
        reject(new Error(`student ${id} left`));
      };
    });
  }

  return {
    async play() {
      await pauseUntil(plan.arriveAt);
      let page = await arrive();
      for (const [index, at] of plan.answersAt.entries()) {
        await pauseUntil(at);
        if (index === plan.reloadBefore) {
          await page.close();
          page = await arrive();
        }
        if (index === plan.cutBefore) socket?.drop();
        await answer(page);
      }
      await pauseUntil(plan.finishAt);
      takeReceipt(await page.finish());
      isFinished = true;
      events.finished();
    },
    async leave() {
      cancelPause();
      await client?.close();
      setConnected(false);
    },
    trouble() {
      if (isFinished) return null;
      const problem = client?.state.problem;
      const where =
        client === null ? 'never arrived' : `${client.state.phase}, ${waiting.length} answers unacknowledged`;
      return problem ? `${where}: ${problem.message}` : where;
    },
  };
}

const connectByNode = nodeConnect();

/** The ledger names the writer, which the outbox makes up when it is opened. */
function rememberWriter(outbox: Outbox): Outbox & { writer(): string } {
  let writer = '';
  return {
    ...outbox,
    async open() {
      const contents = await outbox.open();
      writer = contents.writer;
      return contents;
    },
    writer: () => writer,
  };
}
