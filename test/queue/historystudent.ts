import { setTimeout as sleep } from 'node:timers/promises';
import { between, type Random } from '#cli/random.ts';
import { nextChain, originChain } from '#queue/chain.ts';
import type { FromGateway, ToGateway } from './historygateway.ts';
import type { Noted } from './historyledger.ts';

/** What a student's program sees of a gateway process. */
export interface GatewayLine {
  readonly isUp: boolean;
  send(message: ToGateway): void;
}

/** Where students find gateways, and note what they sent and what they were told. */
export interface Room {
  readonly uid: string;
  readonly random: Random;
  readonly gateways: readonly GatewayLine[];
  readonly sent: Noted[];
  readonly acknowledged: Noted[];
  /** What no student may ever be told. */
  readonly violations: string[];
  /** False at the end: then nobody writes anything new. */
  isWriting: boolean;
  /** Connections by id, old ones too: what an abandoned one is told counts. */
  readonly connections: Map<number, (message: FromGateway) => void>;
}

/** One outbox and the program around it: writes, connects, resumes, moves on. */
export interface HistoryStudent {
  readonly student: string;
  readonly writer: string;
  /** Everything of the outbox is acknowledged; or it learnt that it is a copy, and stopped. */
  readonly isDone: boolean;
  readonly isForked: boolean;
  readonly written: number;
  readonly acked: number;
  run(): Promise<void>;
}

interface Connection {
  readonly id: number;
  readonly gateway: GatewayLine;
  isOpen: boolean;
  isOver: boolean;
  /** What was acknowledged when it asked to be opened: it may not be told less, though others may hear more meanwhile. */
  readonly ackedBefore: number;
  /** Events after `from`, up to `to`, were offered on it. */
  from: number;
  to: number;
}

const inFlight = 12;
const patienceMs = 1_500;
let lastId = 0;

/** Events that an outbox held when it was copied. */
const sharedEvents = 5;

/** @param copy how this outbox marks its events: copies of one outbox begin alike, and then write different ones */
export function historyStudent(room: Room, student: string, writer: string, copy: string): HistoryStudent {
  const texts: string[] = [];
  const chains = [originChain(room.uid, student, writer)];
  let connection: Connection | null = null;
  let acked = 0;
  let isForked = false;
  let progressAt = performance.now();

  function acknowledge(from: number, to: number): void {
    for (let seq = from + 1; seq <= to; seq++) {
      room.acknowledged.push({ student, writer, seq, text: texts[seq - 1]! });
    }
    if (to > acked) {
      acked = to;
      progressAt = performance.now();
    }
  }

  function hear(own: Connection, message: FromGateway): void {
    if (message.kind === 'opened') {
      opened(own, message.seq, message.chain);
      return;
    }
    if (message.kind === 'durable') {
      acknowledge(own.from, message.seq);
      own.from = Math.max(own.from, message.seq);
    }
    if (message.kind === 'answer' && message.offer === 'repeat_durable') acknowledge(message.seq - 1, message.seq);
    if (message.kind === 'answer' && /accepted|repeat/.test(message.offer)) return;
    if (message.kind !== 'durable') own.isOver = true;
  }

  /** What Open says is an acknowledgement too, as far as the chain shows that it speaks of this outbox. */
  function opened(own: Connection, seq: number, chain: string): void {
    own.isOpen = true;
    own.from = own.to = seq;
    const { ackedBefore } = own;
    if (seq < ackedBefore)
      room.violations.push(`${student} ${writer}: told ${seq} after ${ackedBefore} was acknowledged`);
    if (chains[seq] === chain) acknowledge(acked, seq);
    else isForked = true;
  }

  function connect(): Connection | null {
    const up = room.gateways.filter((gateway) => gateway.isUp);
    const gateway = up[between(room.random, 0, up.length - 1)];
    if (!gateway) return null;
    lastId += 1;
    const own: Connection = { id: lastId, gateway, ackedBefore: acked, isOpen: false, isOver: false, from: 0, to: 0 };
    room.connections.set(own.id, (message) => hear(own, message));
    progressAt = performance.now();
    gateway.send({ kind: 'open', id: own.id, student, writer });
    return own;
  }

  function write(): void {
    const isShared = texts.length < sharedEvents;
    const text = isShared ? `${texts.length}` : JSON.stringify(`${copy} ${'x'.repeat(between(room.random, 0, 300))}`);
    texts.push(text);
    chains.push(nextChain(chains.at(-1)!, Buffer.from(text)));
    room.sent.push({ student, writer, seq: texts.length, text });
  }

  function offerWhatFits(own: Connection): void {
    while (own.to < texts.length && own.to - own.from < inFlight) {
      own.to += 1;
      own.gateway.send({ kind: 'offer', id: own.id, seq: own.to, text: texts[own.to - 1]! });
    }
  }

  function step(): void {
    if (connection?.isOver || connection?.gateway.isUp === false) connection = null;
    const isStuck = performance.now() - progressAt > patienceMs && acked < texts.length;
    // Half of those who move on say so; the others leave a connection behind that looks alive.
    if (connection && (isStuck || room.random() < 0.01)) {
      if (room.random() < 0.5) connection.gateway.send({ kind: 'leave', id: connection.id });
      connection = null;
    }
    connection ??= connect();
    if (room.isWriting && texts.length - acked < 3 * inFlight)
      for (let n = between(room.random, 0, 3); n > 0; n--) write();
    if (connection?.isOpen) offerWhatFits(connection);
  }

  const self = {
    student,
    writer,
    get isForked() {
      return isForked;
    },
    get isDone() {
      return isForked || (!room.isWriting && acked === texts.length);
    },
    get written() {
      return texts.length;
    },
    get acked() {
      return acked;
    },
    async run() {
      while (!self.isDone) {
        step();
        await sleep(between(room.random, 5, 60));
      }
    },
  };
  return self;
}
