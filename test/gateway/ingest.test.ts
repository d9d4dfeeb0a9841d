import { request } from 'node:http';
import { beforeAll, describe, expect, it } from 'vitest';
import { readIngestBody } from '#gateway/ingestbody.ts';
import { finish } from '#queue/finish.ts';
import { seal } from '#queue/seal.ts';
import { writeSession } from '#queue/session.ts';
import { readWriter } from '#queue/writerstate.ts';
import { startSession, type TestGateway, type TestSession } from './testgateway.ts';

let session: TestSession;
let gateway: TestGateway;

beforeAll(async () => {
  session = await startSession();
  gateway = await session.start();
}, 60_000);

interface Answer {
  readonly status: number;
  readonly body: { readonly durableSeq?: number; readonly error?: string };
  readonly retryAfter: string | null;
}

async function post(student: string, body: string | Buffer, to = gateway): Promise<Answer> {
  const headers = { Authorization: `Bearer ${await session.token(student)}` };
  const response = await fetch(`${to.url}/events`, {
    method: 'POST',
    headers,
    body: new Uint8Array(Buffer.from(body)),
  });
  return {
    status: response.status,
    body: (await response.json()) as Answer['body'],
    retryAfter: response.headers.get('retry-after'),
  };
}

const event = (seq: number, value: unknown = seq, writer = 'machine-1') =>
  JSON.stringify({ writer, seq, event: value });
const lines = (...texts: string[]) => texts.join('\n');
const array = (...texts: string[]) => `[${texts.join(',')}]`;

describe('POST /exam/events', () => {
  it('answers once everything is durable: an array, then lines, then a repeat of both', async () => {
    expect(await post('ana', array(event(1), event(2)))).toMatchObject({ status: 200, body: { durableSeq: 2 } });
    expect(await post('ana', `\n${lines(event(3), '', event(4))}\r\n`)).toMatchObject({
      status: 200,
      body: { durableSeq: 4 },
    });
    expect(await post('ana', lines(...[1, 2, 3, 4].map((seq) => event(seq))))).toMatchObject({
      body: { durableSeq: 4 },
    });
    const events = (await session.logged()).filter(({ student }) => student === 'ana');
    expect(events.map(({ seq, payload }) => [seq, payload])).toEqual([1, 2, 3, 4].map((seq) => [seq, String(seq)]));
  });

  it('acknowledges no more than the request proved: a copy of an outbox is not told of what its twin sent', async () => {
    await post('twins', lines(...[1, 2, 3, 4].map((seq) => event(seq))));
    expect(await post('twins', lines(event(1), event(2)))).toMatchObject({ status: 200, body: { durableSeq: 2 } });
  });

  it('keeps the bytes of an event as they stood', async () => {
    const text = '{"b": 1.0, "a":"é\\u00e9"}';
    expect(await post('bytes', `[ {"seq":1, "event": ${text} ,"writer":"machine-1"} ]`)).toMatchObject({ status: 200 });
    expect(await session.logged()).toContainEqual({ student: 'bytes', writer: 'machine-1', seq: 1, payload: text });
  });

  it('recognises repeats that another gateway took, and what only looks like one', async () => {
    await post('moves', lines(...[1, 2, 3].map((seq) => event(seq))));
    const other = await session.start();
    expect(await post('moves', lines(event(2), event(3), event(4)), other)).toMatchObject({
      status: 200,
      body: { durableSeq: 4 },
    });
    const third = await session.start();
    expect(await post('moves', lines(event(3), event(4, 'other')), third)).toMatchObject({
      status: 409,
      body: { error: 'forked' },
    });
    expect(await post('moves', lines(event(1), event(2, 'x')), third)).toMatchObject({
      status: 409,
      body: { error: 'forked' },
    });
    const whole = [1, 2, 3, 4, 5].map((seq) => event(seq));
    expect(await post('moves', lines(...whole), third)).toMatchObject({ status: 200, body: { durableSeq: 5 } });
  });

  it('refuses a gap, and says what it expects', async () => {
    expect(await post('gaps', event(2))).toMatchObject({ status: 409, body: { error: 'gap:1', durableSeq: 0 } });
    expect(await post('gaps', lines(event(1), event(3)))).toMatchObject({ status: 409, body: { error: 'gap:2' } });
    expect(await post('gaps', event(1))).toMatchObject({ status: 200 });
  });

  it('refuses what no database could load, and takes nothing of the request', async () => {
    const nul = `{"writer":"machine-1","seq":2,"event":"\\u0000"}`;
    expect(await post('unfit', lines(event(1), nul))).toMatchObject({ status: 422, body: { error: 'payload_nul' } });
    const large = event(1, 'x'.repeat(20_000));
    expect(await post('unfit', large)).toMatchObject({ status: 422, body: { error: 'payload_too_large' } });
    expect((await session.logged()).filter(({ student }) => student === 'unfit')).toEqual([]);
  });

  it.each([
    ['nothing', ''],
    ['an empty array', '[]'],
    ['no JSON', 'hello'],
    ['an event that is not JSON', '{"writer":"machine-1","seq":1,"event":{]}'],
    ['two writers', lines(event(1), event(2, 2, 'machine-2'))],
    ['a writer that is none', event(1, 1, 'short')],
    ['a seq that is none', '{"writer":"machine-1","seq":0,"event":1}'],
    ['an unknown key', '{"writer":"machine-1","seq":1,"event":1,"x":1}'],
    ['a doubled key', '{"writer":"machine-1","seq":1,"seq":1,"event":1}'],
    ['something after the array', `${array(event(1))} x`],
    ['bytes that are not UTF-8', Buffer.from([0x7b, 0xff, 0x7d])],
  ])('refuses %s as malformed', async (_, body) => {
    expect(await post('malformed', body)).toMatchObject({ status: 400, body: { error: 'malformed' } });
  });

  it('refuses strangers and bodies that are too large', async () => {
    expect((await fetch(`${gateway.url}/events`, { method: 'POST', body: event(1) })).status).toBe(401);
    const rehearsing = { Authorization: `Bearer ${await session.token('ana', { rehearsal: true })}` };
    expect((await fetch(`${gateway.url}/events`, { method: 'POST', headers: rehearsing, body: event(1) })).status).toBe(
      403,
    );
    expect(await post('large', ' '.repeat(1_048_577))).toMatchObject({ status: 413 });
  });

  it('stops to read a body that grows beyond the limit', async () => {
    const token = await session.token('endless');
    const status = await new Promise((resolve) => {
      const sending = request(`${gateway.url}/events`, {
        method: 'POST',
        headers: { Authorization: `Bearer ${token}` },
      });
      const chunk = Buffer.alloc(65_536, ' ');
      const timer = setInterval(() => sending.write(chunk), 1);
      sending.on('error', () => undefined);
      sending.on('response', (response) => {
        clearInterval(timer);
        resolve(response.statusCode);
        sending.destroy();
      });
    });
    expect(status).toBe(413);
  });

  it('slows down a student who sends too much', async () => {
    const limited = await session.start({ limits: { studentMessageBurst: 3, studentMessagesPerSecond: 0.5 } });
    const answers = [];
    for (let seq = 1; seq <= 4; seq++) answers.push(await post('hasty', event(seq), limited));
    expect(answers.map(({ status }) => status)).toContain(429);
    expect(Number(answers.find(({ status }) => status === 429)!.retryAfter)).toBeGreaterThan(0);
  });

  it('says when the time is over, the paper is finished, and the session is sealed', async () => {
    const own = await startSession();
    const late = await own.start();
    const token = await own.token('ana');
    const send = async (body: string) => {
      const response = await fetch(`${late.url}/events`, {
        method: 'POST',
        headers: { Authorization: `Bearer ${token}` },
        body,
      });
      return [response.status, ((await response.json()) as { error?: string }).error];
    };
    const { shard } = own.shards[0]!;
    expect(await send(event(1))).toEqual([200, undefined]);
    await writeSession(shard, { closesAt: Date.now() - 1_000 });
    expect(await send(event(2))).toEqual([410, 'late']);
    await writeSession(shard, { closesAt: null });
    await finish(shard, 'ana', 'machine-1', (await readWriter(shard, 'ana', 'machine-1')).state);
    expect(await send(event(2))).toEqual([410, 'finished']);
    await seal(shard);
    expect(await send(event(1, 1, 'machine-2'))).toEqual([410, 'sealed']);
    const answering = await own.start({ mode: 'answer' });
    const headers = { Authorization: `Bearer ${token}` };
    const response = await fetch(`${answering.url}/events`, { method: 'POST', headers, body: event(1) });
    expect(response.status).toBe(410);
  });

  it('asks to come back when the shard is away, and takes the same again later', async () => {
    const own = await startSession();
    const away = await own.start();
    await own.shards[0]!.redis.kill9();
    const headers = { Authorization: `Bearer ${await own.token('ana')}` };
    const send = () => fetch(`${away.url}/events`, { method: 'POST', headers, body: event(1) });
    const first = await send();
    expect(first.status).toBe(503);
    expect(Number(first.headers.get('retry-after'))).toBeGreaterThan(0);
    await own.shards[0]!.redis.restart();
    expect((await send()).status).toBe(200);
    expect(await own.logged()).toHaveLength(1);
  }, 30_000);
});

describe('a body', () => {
  it('of the most events that a request may have is read', () => {
    const many = (count: number) => lines(...Array.from({ length: count }, (_, index) => event(index + 5)));
    expect(readIngestBody(Buffer.from(many(10_000)))).toMatchObject({ writer: 'machine-1', firstSeq: 5 });
    expect(readIngestBody(Buffer.from(many(10_001)))).toMatchObject({ status: 400 });
  });
});
