import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import type { ExamClientOptions } from '#client/examclient.ts';
import { memoryOutbox } from '#client/memoryoutbox.ts';
import { fileOutbox } from '#client/nodefileoutbox.ts';
import { nodeConnect } from '#client/nodesocket.ts';
import { webConnect } from '#client/websocket.ts';
import { readLog } from '#queue/log.ts';
import { checkReceipt } from '#queue/receipt.ts';
import { setDeadlines, writeSession } from '#queue/session.ts';
import { startSession, type TestGateway, type TestSession } from '#test/gateway/testgateway.ts';
import { startProgram } from '#test/support/process.ts';
import { startProxy, type TcpProxy } from '#test/support/proxy.ts';
import { tmpFolder } from '#test/support/tmp.ts';
import { until } from '#test/support/until.ts';
import { student as makeStudent, type Student } from './student.ts';

/** The real thing: gateway processes and Redis servers, with the network and both of them failing. */

let session: TestSession;
let gateway: TestGateway;

beforeAll(async () => {
  session = await startSession({ shards: 2 });
  gateway = await session.start();
}, 60_000);

function student(id: string, url: string, options: Partial<ExamClientOptions> = {}, of = session): Student {
  return makeStudent({ url, token: () => of.token(id), connect: nodeConnect(), ...options });
}

function urlOf(proxy: TcpProxy): string {
  return `http://127.0.0.1:${proxy.port}/exam`;
}

/** Payloads by `student writer`, in the order of the logs. A seq that is out of place fails the test. */
async function logged(of: TestSession): Promise<Map<string, string[]>> {
  const papers = new Map<string, string[]>();
  for (const testShard of of.shards) {
    const shard = testShard.connect();
    await shard.ready(10_000);
    for await (const { events } of readLog(shard)) {
      for (const { student: id, writer, seq, payload } of events) {
        const key = `${id} ${writer}`;
        const paper = papers.get(key) ?? [];
        papers.set(key, paper);
        expect(seq, `a seq of ${key}`).toBe(paper.push(payload.toString()));
      }
    }
    await shard.close();
  }
  return papers;
}

const keyOf = (id: string, { client }: Student) => `${id} ${client.state.writer}`;

describe.each([
  ['ws', nodeConnect()],
  ['the platform’s WebSocket', webConnect],
])('by %s', (name, connect) => {
  test('an exam from open to the receipt', async () => {
    const id = `plain-${name.length}`;
    const ada = student(id, gateway.url, { connect });
    const opened = await ada.client.open();
    expect(opened).toMatchObject({ durableSeq: 0, session: session.uid, student: id, phase: 'Active', finished: null });
    const events = [{ q: 1, a: 'B' }, 'ü🦤\u0007', 3.5, null, ['x'.repeat(16_000)]];
    for (const event of events) await ada.client.submit(event);
    const receipt = await ada.client.finish();
    expect(receipt.lastSeq).toBe(events.length);
    expect(checkReceipt(session.receiptPublicKey, receipt.receipt)).toBe(true);
    const expected = events.map((event) => JSON.stringify(event));
    expect((await logged(session)).get(keyOf(id, ada))).toEqual(expected);
    expect(ada.alarms).toEqual([]);
  });
});

test('two devices of one student, one of them offline with answers, do not meet', async () => {
  const [phone, laptop] = [student('two-devices', gateway.url), student('two-devices', gateway.url)];
  await phone.client.open();
  for (let n = 1; n <= 5; n++) await laptop.client.submit({ laptop: n });
  for (let n = 1; n <= 5; n++) await phone.client.submit({ phone: n });
  await phone.client.settled(5);
  await laptop.client.open();
  await laptop.client.settled(5);
  const papers = await logged(session);
  expect(papers.get(keyOf('two-devices', phone))).toEqual([1, 2, 3, 4, 5].map((n) => `{"phone":${n}}`));
  expect(papers.get(keyOf('two-devices', laptop))).toEqual([1, 2, 3, 4, 5].map((n) => `{"laptop":${n}}`));
  await phone.client.finish();
  await laptop.client.submit('too late');
  await expect(laptop.client.settled(6)).rejects.toMatchObject({ code: 'finished' });
  await expect(laptop.client.finish()).rejects.toMatchObject({ code: 'finished' });
});

test('past the deadline: refused as late; taken when more time is given', async () => {
  const ada = student('slow', gateway.url);
  await ada.client.open();
  for (const { shard } of session.shards) await setDeadlines(shard, new Map([['slow', Date.now() - 1_000]]));
  await ada.client.submit('late');
  await expect(ada.client.settled(1)).rejects.toMatchObject({ code: 'late' });
  for (const { shard } of session.shards) await setDeadlines(shard, new Map([['slow', Date.now() + 60_000]]));
  for (const { shard } of session.shards) await writeSession(shard, { deadlinesVersion: `v${Date.now()}` });
  await until(() => ada.client.state.durable === 1, { what: 'the answer to be taken' });
});

test('a token that ends in mid-exam is replaced by asking for another', { timeout: 20_000 }, async () => {
  let asked = 0;
  const token = () => session.token('short', { exp: Math.ceil(Date.now() / 1_000) + (++asked === 1 ? 1 : 600) });
  const ada = student('short', gateway.url, { token });
  await ada.client.open();
  await until(() => asked === 2 && ada.client.state.phase === 'open', { what: 'another token', timeoutMs: 10_000 });
  await ada.client.submit('still here');
  await ada.client.settled(1);
  const bob = student('forged', gateway.url, { token: 'not.a.token' });
  await expect(bob.client.open()).rejects.toMatchObject({ code: 'token_refused' });
});

test('an outbox of a session that was deleted and made again sends nothing to the new one', async () => {
  const again = await startSession();
  const other = await again.start();
  const outbox = memoryOutbox();
  const ada = student('ada', gateway.url, { outbox });
  await ada.client.open();
  await ada.client.submit('for the old one');
  await ada.client.settled(1);
  await ada.client.close();
  const later = student('ada', other.url, { outbox }, again);
  await expect(later.client.open()).rejects.toMatchObject({ code: 'other_session' });
  expect(await logged(again)).toEqual(new Map());
});

test('gateways and Redis are killed, connections cut, replies lost, one gateway drained: every student’s paper is whole, and what was settled is in it', {
  timeout: 60_000,
}, async () => {
  const gateways = [await session.start(), await session.start()];
  const proxy = await startProxy({ port: gateways[0]!.port });
  const perStudent = 60;
  const settled = new Map<string, number>();
  const students = Array.from({ length: 25 }, (_, i) => ({ id: `s${i}`, ...student(`s${i}`, urlOf(proxy)) }));

  async function answer({ id, client }: (typeof students)[number]): Promise<void> {
    await client.open();
    for (let n = 1; n <= perStudent; n++) {
      const seq = await client.submit({ id, n, filler: 'x'.repeat((n * 37) % 400) });
      void client.settled(seq).then(() => settled.set(id, Math.max(seq, settled.get(id) ?? 0)));
      await sleep(20 + Math.random() * 60);
    }
  }

  async function fail(): Promise<void> {
    await sleep(500);
    proxy.cutAll();
    await sleep(300);
    await proxy.swallowReplies();
    await sleep(200);
    proxy.redirect(gateways[1]!.port);
    gateways[0]!.program.kill('SIGKILL');
    await sleep(400);
    for (const { redis } of session.shards) await redis.restart();
    await sleep(300);
    gateways[0] = await session.start();
    proxy.redirect(gateways[0].port);
    gateways[1]!.program.kill('SIGTERM');
    expect(await gateways[1]!.program.ended(15_000)).toEqual({ code: 0, signal: null });
  }

  await Promise.all([fail(), ...students.map(answer)]);
  const settledBefore = new Map(settled);
  const papers = await logged(session);
  for (const one of students) {
    const paper = papers.get(keyOf(one.id, one)) ?? [];
    expect(paper.length).toBeGreaterThanOrEqual(settledBefore.get(one.id) ?? 0);
  }
  const receipts = await Promise.all(students.map(({ client }) => client.finish()));
  const whole = await logged(session);
  for (const [i, one] of students.entries()) {
    const expected = Array.from({ length: perStudent }, (_, n) => one.client.eventText(n + 1));
    expect(whole.get(keyOf(one.id, one))).toEqual(expected);
    expect(checkReceipt(session.receiptPublicKey, receipts[i]!.receipt)).toBe(true);
    expect(one.alarms).toEqual([]);
  }
  expect(students.flatMap(({ told }) => told)).toContainEqual(['closing', 'restart', 1]);
});

describe('a shard that comes back with less', () => {
  /** A session on one shard, a student with nine answers there, and a copy of the shard's disk after the first five. */
  async function withBackup() {
    const one = await startSession();
    const { redis } = one.shards[0]!;
    const first = await one.start();
    const proxy = await startProxy({ port: first.port });
    const ada = student('ada', urlOf(proxy), {}, one);
    await ada.client.open();
    for (let n = 1; n <= 5; n++) await ada.client.submit(n);
    await ada.client.settled(5);
    await redis.stop();
    const backup = join(tmpFolder('backup'), 'disk');
    cpSync(redis.dir, backup, { recursive: true });
    await redis.restart();
    for (let n = 6; n <= 9; n++) await ada.client.submit(n);
    await ada.client.settled(9);
    first.program.kill('SIGKILL');
    await first.program.ended();
    await redis.kill9();
    rmSync(redis.dir, { recursive: true });
    cpSync(backup, redis.dir, { recursive: true });
    await redis.restart();
    return { one, proxy, ada };
  }

  test('the students’ outboxes notice, raise an alarm, and fill it again', { timeout: 30_000 }, async () => {
    const { one, proxy, ada } = await withBackup();
    const second = await one.start();
    proxy.redirect(second.port);
    await until(() => ada.alarms.length > 0, { what: 'the alarm', timeoutMs: 10_000 });
    expect(ada.alarms.map(({ code }) => code)).toEqual(['server_lost_data']);
    expect(await ada.client.finish()).toMatchObject({ lastSeq: 9 });
    expect((await logged(one)).get(keyOf('ada', ada))).toEqual(['1', '2', '3', '4', '5', '6', '7', '8', '9']);
    expect(await (await second.ops('/metrics')).text()).toMatch(/^untradex_gateway_alarms_total 1$/m);
  });
});

test('a client whose process is killed again and again in mid-exam, on one outbox file: nothing that it confirmed is missing, nothing is twice', {
  timeout: 40_000,
}, async () => {
  const path = join(tmpFolder('outbox'), 'answers.ndjson');
  const token = await session.token('killed');
  const confirmed = new Set<string>();
  for (let round = 0; round < 5; round++) {
    const argv = [process.execPath, 'test/client/examinee.ts', gateway.url, path, `r${round}`];
    const child = startProgram({ argv, env: { EXAM_TOKEN: token } });
    await child.line((line) => 'settled' in line, 'a first answer to be settled');
    await sleep(Math.random() * 150);
    child.kill('SIGKILL');
    await child.ended();
    for (const line of child.lines) if (typeof line.stored === 'string') confirmed.add(line.stored);
  }
  const last = student('killed', gateway.url, { outbox: fileOutbox(path) });
  await last.client.open();
  const { lastSeq } = await last.client.finish();
  const paper = (await logged(session)).get(keyOf('killed', last))!;
  expect(paper).toHaveLength(lastSeq);
  expect(new Set(paper).size).toBe(paper.length);
  for (const text of confirmed) expect(paper).toContain(text);
  expect(last.alarms).toEqual([]);
});

test('verified: clients are told, let their outboxes go and rest; whoever comes later learns it too', async () => {
  const one = await startSession();
  const { url } = await one.start();
  const [here, later] = [memoryOutbox(), memoryOutbox()];
  const ada = student('ada', url, { outbox: here }, one);
  await ada.client.open();
  await ada.client.submit('one');
  await ada.client.settled(1);
  const bob = student('bob', url, { outbox: later }, one);
  await bob.client.open();
  await bob.client.submit('two');
  await bob.client.settled(1);
  await bob.client.close();
  const root = 'ab'.repeat(32);
  await writeSession(one.shards[0]!.shard, { phase: 'Completed', verified: root });
  await until(() => ada.client.state.phase === 'verified', { what: 'Ada to be told' });
  const back = student('bob', url, { outbox: later }, one);
  await back.client.open().catch((error) => expect(error.code).toBe('verified'));
  await until(() => back.client.state.phase === 'verified', { what: 'Bob to be told' });
  for (const [{ client }, outbox] of [
    [ada, here],
    [back, later],
  ] as const) {
    await client.close();
    expect((await outbox.open()).texts).toEqual([]);
  }
  expect(ada.told).toContainEqual(['verified', root]);
});
