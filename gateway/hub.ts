import type { Logger } from 'pino';
import type { State } from '#queue/chain.ts';
import { finish } from '#queue/finish.ts';
import { checkWriter } from '#queue/identity.ts';
import { readSession } from '#queue/session.ts';
import type { Refusal } from '#queue/shardwriter.ts';
import { readWriter, type WriterStanding } from '#queue/writerstate.ts';
import type { Alarms } from './alarms.ts';
import { closeCodes, closeConnection, send } from './connection.ts';
import type { Frame } from './frame.ts';
import type { Receipts } from './receipts.ts';
import * as records from './records.ts';
import { announceDurable, announceRefused, attachSeat, detachSeat, refuse, type Seat, submit } from './seat.ts';
import { isTold, readTold, type Told } from './told.ts';

/*
 * The methods that a client may call. `Submit` is seat.ts; the others ask the shard's Redis, which alone knows what is
 * durable, and are rare. Each is answered once: with a result, or with one of the errors of docs/wire-protocol.md.
 */

export interface HubParts {
  readonly receipts: Receipts;
  readonly alarms: Alarms;
  readonly log: Logger;
  /** Tells a client that has just opened what it missed: an announcement, the closing, the verdict. */
  greet(seat: Seat): void;
  audit(seat: Seat, what: string, fields?: Record<string, string>): void;
}

export interface Hub {
  /** A call that came in. `now` is its time of receipt. */
  receive(seat: Seat, frame: Frame, now: number): void;
  /** Papers finished through this process. */
  finished(): number;
}

/** How long a call waits for a shard that is away, and Finish for events that are under way. */
const shardWaitMs = 10_000;
const durableWaitMs = 15_000;

/** What an error text of the wire is thrown as. */
class Refused extends Error {}

export function createHub(parts: HubParts): Hub {
  let finishedCount = 0;

  const methods: Record<string, (seat: Seat, args: unknown[]) => Promise<unknown>> = {
    async Open(seat, args) {
      const [writer, told] = readOpen(args);
      if (seat.isOpening) throw new Refused('opening');
      seat.isOpening = true;
      try {
        return await open(parts, seat, writer, told);
      } finally {
        seat.isOpening = false;
      }
    },

    async State(seat) {
      if (seat.writer === null) throw new Refused('open_first');
      return describe(seat, await ask(seat, seat.writer));
    },

    async Finish(seat, args) {
      const lastSeq = args[0];
      if (!Number.isSafeInteger(lastSeq) || (lastSeq as number) < 0 || args.length !== 1) {
        throw new Refused('bad_arguments');
      }
      if (seat.writer === null || seat.isOpening) throw new Refused('open_first');
      if (seat.isFinishing) throw new Refused('finishing');
      seat.isFinishing = true;
      try {
        const result = await finishPaper(parts, seat, seat.writer, lastSeq as number);
        finishedCount++;
        return result;
      } finally {
        seat.isFinishing = false;
      }
    },

    async Submit() {
      throw new Refused('bad_arguments');
    },
  };

  async function call(seat: Seat, target: string, args: unknown[], invocationId: string | null): Promise<void> {
    try {
      const method = Object.hasOwn(methods, target) ? methods[target] : undefined;
      if (!method) throw new Refused('unknown_method');
      const result = await method(seat, args);
      if (invocationId !== null) send(seat.connection, records.answered(invocationId, result));
      if (target === 'Open') parts.greet(seat);
    } catch (error) {
      answerError(parts, seat, target, invocationId, error);
    }
  }

  return {
    receive(seat, frame, now) {
      if (frame.kind === 'submit') submit(seat, frame.seq, frame.payload, frame.invocationId, now);
      else if (frame.kind === 'unfit')
        refuse(seat, seat.writer === null ? 'open_first' : frame.refusal, frame.invocationId);
      else if (frame.kind === 'call') void call(seat, frame.target, frame.args, frame.invocationId);
      else if (frame.kind === 'stream') send(seat.connection, records.failed(frame.invocationId, 'unknown_method'));
    },
    finished: () => finishedCount,
  };
}

const brokenCalls = new Set(['bad_arguments', 'unknown_method', 'open_first']);

/** A call that was sent without an id has no answer: a broken protocol closes, anything else is only logged. */
function answerError(parts: HubParts, seat: Seat, target: string, invocationId: string | null, error: unknown): void {
  const text = error instanceof Refused ? error.message : 'unavailable';
  if (!(error instanceof Refused))
    parts.log.warn({ err: error, connection: seat.connection.id, target }, 'a call failed');
  if (invocationId !== null) send(seat.connection, records.failed(invocationId, text));
  else if (brokenCalls.has(text)) closeConnection(seat.connection, closeCodes.policy, text);
}

function readOpen(args: unknown[]): [writer: string, told: Told | null] {
  const [writer, told = null] = args;
  if (args.length > 2 || typeof writer !== 'string' || checkWriter(writer) !== null) throw new Refused('bad_arguments');
  const read = readTold(told);
  if (read === undefined) throw new Refused('bad_arguments');
  return [writer, read];
}

async function open(parts: HubParts, seat: Seat, writer: string, told: Told | null): Promise<unknown> {
  if (seat.writer !== writer) {
    detachSeat(seat, 'reopened');
    seat.writer = null;
  }
  const facts = await takeSeat(parts, seat, writer);
  seat.deadline = facts.deadline ?? seat.link.session?.closesAt ?? null;
  if (told && !isTold(told, facts.state, seat.link.incarnation)) raiseLost(parts, seat, writer, told, facts.state);
  parts.audit(seat, 'open', { writer });
  return describe(seat, facts);
}

/** The shard has less than the student was told. Or the student lies; so one alarm a student is enough. */
function raiseLost(parts: HubParts, { link, student }: Seat, writer: string, told: Told, durable: State): void {
  if (student.hasAlarmed) return;
  student.hasAlarmed = true;
  const [shard, id] = [link.index, student.id];
  parts.alarms.raise('durable_lost', { shard, student: id, writer, told: told.seq, durable: durable.seq });
}

/** Attaches to the writer's lane and asks where it stands. When that fails a seat that was open stays open. */
async function takeSeat(parts: HubParts, seat: Seat, writer: string): Promise<WriterStanding> {
  try {
    if (seat.link.writer && !seat.lane) await attach(parts, seat, writer);
    const facts = await ask(seat, writer);
    seat.writer = writer;
    seat.openSeq = facts.state.seq;
    // The answer tells the chain there: who goes on from it has compared it, or has nothing to compare.
    seat.provenHigh = Math.max(seat.provenHigh, facts.state.seq);
    return facts;
  } catch (error) {
    if (seat.writer === null) detachSeat(seat, 'unavailable');
    throw error;
  }
}

async function attach(parts: HubParts, seat: Seat, writer: string): Promise<void> {
  const { link, connection } = seat;
  const listener = {
    durable: (seq: number) => announceDurable(seat, seq),
    refused: (kind: Refusal, durable: State) => {
      parts.audit(seat, 'refused', { writer, kind });
      announceRefused(seat, kind, durable);
    },
  };
  await link.shard.ready(shardWaitMs);
  const lane = await link.writer!.attach(seat.student.id, writer, listener);
  if (connection.phase === 'closed') {
    link.writer!.detach(lane, listener);
    throw new Refused('unavailable');
  }
  attachSeat(seat, lane, listener);
}

/** What the shard's Redis says of a writer. Its reply comes after the fsync of all that it says. */
async function ask({ link, student }: Seat, writer: string): Promise<WriterStanding> {
  await link.shard.ready(shardWaitMs);
  // Right after the start nobody has looked yet.
  link.session ??= await readSession(link.shard);
  return readWriter(link.shard, student.id, writer);
}

function describe(seat: Seat, { state, deadline, finished }: WriterStanding): unknown {
  const { session, incarnation, shard } = seat.link;
  return {
    durableSeq: state.seq,
    chain: state.chain,
    incarnation,
    session: shard.identity.uid,
    student: seat.student.id,
    serverTime: Date.now(),
    deadline: deadline ?? session?.closesAt ?? null,
    phase: session?.phase ?? 'Active',
    finished: finished && { writer: finished.writer, lastSeq: finished.state.seq, time: finished.at },
  };
}

async function finishPaper(parts: HubParts, seat: Seat, writer: string, lastSeq: number): Promise<unknown> {
  await settleAccepted(seat, lastSeq);
  const { state } = await ask(seat, writer);
  if (state.seq < lastSeq) throw new Refused(`gap:${state.seq + 1}`);
  if (state.seq > lastSeq) throw new Refused(`more:${state.seq}`);
  const reply = await finish(seat.link.shard, seat.student.id, writer, state);
  if (reply.kind === 'behind') throw new Refused('unavailable');
  if (reply.kind !== 'ok') throw new Refused(reply.kind);
  parts.audit(seat, 'finish', { writer, lastSeq: String(lastSeq) });
  const receipt = parts.receipts.make(seat.student.id, writer, state, reply.at);
  return { lastSeq, chain: state.chain, time: reply.at, receipt };
}

/**
 * Waits until what this process has accepted of the writer, up to `lastSeq`, is durable or given back. Bounded. Either
 * way the shard then tells what is durable.
 */
async function settleAccepted(seat: Seat, lastSeq: number): Promise<void> {
  const { lane } = seat;
  if (!lane || lane.durable.seq >= lastSeq || lane.head.seq < lastSeq) return;
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(resolve, durableWaitMs, false);
  seat.finishWait = { seq: lastSeq, done: () => resolve(true) };
  const isSettled = await promise;
  seat.finishWait = null;
  clearTimeout(timer);
  if (!isSettled) throw new Refused('unavailable');
}
