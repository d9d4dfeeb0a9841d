import type { IncomingMessage, ServerResponse } from 'node:http';
import { charge } from '#queue/bucket.ts';
import type { Lane, LaneListener, Offer, Refusal } from '#queue/shardwriter.ts';
import { type IngestEvents, readIngestBody } from './ingestbody.ts';
import { sendJson } from './server.ts';
import type { ShardLink } from './shardlink.ts';
import type { Student } from './students.ts';

/** Answers `POST /exam/events`, once everything in it is durable or something is refused. */
export type Ingest = (
  request: IncomingMessage,
  response: ServerResponse,
  student: Student,
  link: ShardLink,
) => Promise<void>;

interface Answer {
  readonly status: number;
  readonly body: { readonly durableSeq?: number; readonly error?: string; readonly message?: string };
  readonly retryAfterSeconds?: number;
}

/** Bytes of one body; and bodies that are read or wait at the same time, so that together they stay bounded. */
const maxBodyBytes = 1_048_576;
const maxAtOnce = 64;
const maxOfStudent = 4;

const shardWaitMs = 3_000;
const durableWaitMs = 20_000;

/** What the queue's refusals are in HTTP. */
const statuses: Readonly<Record<string, number>> = {
  forked: 409,
  unverified: 409,
  late: 410,
  finished: 410,
  sealed: 410,
  quota: 422,
};

export function createIngest(): Ingest {
  let atOnce = 0;
  return async (request, response, student, link) => {
    if (student.posts >= maxOfStudent) return reply(response, tooMuch(1));
    if (atOnce >= maxAtOnce || link.isPressed) return reply(response, tryLater('busy'));
    atOnce++;
    student.posts++;
    try {
      reply(response, await answer(request, response, student, link));
    } finally {
      atOnce--;
      student.posts--;
    }
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  student: Student,
  link: ShardLink,
): Promise<Answer> {
  // A client that goes away while it sends gets no answer anyway.
  const body = await readBody(request).catch(() => Buffer.alloc(0));
  if (body === null) return failure(413, 'too_large', `A request has at most ${maxBodyBytes} bytes.`);
  const waitMs = charge(student.messages, 1 + body.length / 1_024, Date.now());
  if (waitMs > 0) return tooMuch(Math.ceil(waitMs / 1_000));
  const events = readIngestBody(body);
  if ('status' in events) return failure(events.status, events.code, events.message);
  if (!link.writer) return failure(410, 'sealed', 'Nothing more is taken.');
  try {
    await link.shard.ready(shardWaitMs);
    return await take(response, link, student, events);
  } catch {
    return tryLater('unavailable');
  }
}

/** The whole body, or null when it is too large. Rejects when the client goes away. */
async function readBody(request: IncomingMessage): Promise<Buffer | null> {
  if (Number(request.headers['content-length'] ?? 0) > maxBodyBytes) return null;
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > maxBodyBytes) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}

type Outcome = { readonly durable: true } | { readonly refused: Refusal | 'timeout' | 'gone' };

/** Offers the events in order and waits until the last one is durable. */
async function take(
  response: ServerResponse,
  link: ShardLink,
  student: Student,
  events: IngestEvents,
): Promise<Answer> {
  const lastSeq = events.firstSeq + events.payloads.length - 1;
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  const listener: LaneListener = {
    durable: (seq) => {
      if (seq >= lastSeq) resolve({ durable: true });
    },
    refused: (refused) => resolve({ refused }),
  };
  const lane = await link.writer!.attach(student.id, events.writer, listener);
  const timer = setTimeout(() => resolve({ refused: 'timeout' }), durableWaitMs);
  const gone = () => resolve({ refused: 'gone' });
  response.once('close', gone);
  try {
    const refusal = await offerAll(link, student, lane, events);
    if (refusal) return refusal;
    const outcome: Outcome = lane.durable.seq >= lastSeq ? { durable: true } : await promise;
    // What is durable beyond lastSeq came from elsewhere, and whether this sender has the same is not known.
    if ('durable' in outcome) return { status: 200, body: { durableSeq: lastSeq } };
    return refuse(outcome.refused, lane);
  } finally {
    clearTimeout(timer);
    response.off('close', gone);
    link.writer!.detach(lane, listener);
  }
}

async function offerAll(
  link: ShardLink,
  student: Student,
  lane: Lane,
  { firstSeq, payloads }: IngestEvents,
): Promise<Answer | null> {
  const now = Date.now();
  for (let index = 0; index < payloads.length; index++) {
    const seq = firstSeq + index;
    const offer = link.writer!.offer(lane, seq, payloads[index]!, now);
    if (offer === 'unverified') {
      const repeats = payloads.slice(index, index + lane.durable.seq - seq + 1);
      const found = await link.lookups.find(link, student, lane, seq, repeats);
      if (found !== 'same') return refuse(found === 'other' ? 'forked' : 'unverified', lane);
      index += repeats.length - 1;
      continue;
    }
    const refusal = refuseOffer(offer, lane);
    if (refusal) return refusal;
    if (offer === 'accepted') link.accepted++;
  }
  return null;
}

function refuseOffer(offer: Offer, lane: Lane): Answer | null {
  if (offer === 'accepted' || offer === 'repeat_durable' || offer === 'repeat_pending') return null;
  if (offer === 'full') return tryLater('full');
  if (offer === 'gap') {
    const expected = lane.head.seq + 1;
    return withDurable(failure(409, `gap:${expected}`, `The next seq of this writer is ${expected}.`), lane);
  }
  return refuse(offer, lane);
}

function refuse(kind: string, lane: Lane): Answer {
  const status = statuses[kind];
  if (status === undefined) return withDurable(tryLater('unavailable'), lane);
  return withDurable(failure(status, kind, 'The queue does not take this: see docs/wire-protocol.md.'), lane);
}

function failure(status: number, error: string, message: string): Answer {
  return { status, body: { error, message } };
}

function tooMuch(retryAfterSeconds: number): Answer {
  return { ...failure(429, 'rate', 'Too much at once.'), retryAfterSeconds };
}

function tryLater(error: string): Answer {
  return {
    ...failure(503, error, 'Not now: send the same again.'),
    retryAfterSeconds: 1 + Math.floor(Math.random() * 4),
  };
}

function withDurable(answer: Answer, lane: Lane): Answer {
  return { ...answer, body: { ...answer.body, durableSeq: lane.durable.seq } };
}

function reply(response: ServerResponse, { status, body, retryAfterSeconds }: Answer): void {
  if (response.destroyed) return;
  sendJson(response, status, body, retryAfterSeconds === undefined ? {} : { 'Retry-After': String(retryAfterSeconds) });
}
