import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { hubTimes } from '#client/hub.ts';
import { memoryOutbox } from '#client/memoryoutbox.ts';
import type { Outbox } from '#client/outbox.ts';
import { createTimers } from '#client/timers.ts';
import { until } from '#test/support/until.ts';
import { chainOf, createPeer, type Peer, peerConnect } from './peer.ts';
import { type Student, studentAt } from './student.ts';

/** Lets everything that is under way between the two halves happen. */
async function turns(count = 30): Promise<void> {
  for (let i = 0; i < count; i++) await nextTurn();
}

function heldBy(peer: Peer, { client }: Student): string[] {
  return peer.durable.get(client.state.writer!) ?? [];
}

test('an event is durable with the bytes that it had at submit()', async () => {
  const peer = createPeer();
  const ada = studentAt(peer);
  const opened = await ada.client.open();
  expect(opened).toMatchObject({ durableSeq: 0, student: 'ada', session: peer.uid, deadline: null, phase: 'Active' });
  const event = { answer: 'Ñ 🦤 "quoted" \\ \u0007', tries: [1, 2.5, null] };
  const frozen = JSON.stringify(event);
  const submitted = ada.client.submit(event);
  event.answer = 'changed after submit()';
  expect(await submitted).toBe(1);
  await ada.client.settled(1);
  expect(heldBy(peer, ada)).toEqual([frozen]);
  expect(ada.client.eventText(1)).toBe(frozen);
  expect(ada.client.state).toMatchObject({ phase: 'open', stored: 1, durable: 1, problem: null });
  expect(ada.durable).toEqual([1]);
});

test('what cannot be stored anywhere is refused before it is numbered', async () => {
  const ada = studentAt(createPeer());
  await ada.client.open();
  await expect(ada.client.submit({ a: 'x'.repeat(17_000) })).rejects.toMatchObject({ code: 'payload_too_large' });
  await expect(ada.client.submit(undefined)).rejects.toMatchObject({ code: 'payload_not_json' });
  await expect(ada.client.submit('\ud800')).rejects.toMatchObject({ code: 'payload_lone_surrogate' });
  expect(await ada.client.submit('fine')).toBe(1);
  await expect(ada.client.settled(2)).rejects.toMatchObject({ code: 'no_such_event' });
  expect(() => ada.client.eventText(2)).toThrow('no event 2');
});

test('offline it takes events, and sends them in order once it is open', async () => {
  const peer = createPeer();
  const ada = studentAt(peer);
  const events = Array.from({ length: 300 }, (_, i) => ({ i }));
  const seqs = await Promise.all(events.map((event) => ada.client.submit(event)));
  expect(seqs).toEqual(events.map((_, i) => i + 1));
  expect(ada.client.state).toMatchObject({ phase: 'idle', stored: 300, durable: 0 });
  await ada.client.open();
  await ada.client.settled(300);
  expect(heldBy(peer, ada)).toEqual(events.map((event) => JSON.stringify(event)));
  expect(peer.submits).toHaveLength(300);
});

test('no more than the window is in flight', async () => {
  const peer = createPeer();
  peer.autoFlush = false;
  const ada = studentAt(peer, { inFlight: 8 });
  await ada.client.open();
  await Promise.all(Array.from({ length: 20 }, (_, i) => ada.client.submit(i)));
  await turns();
  expect(peer.submits).toHaveLength(8);
  peer.flush();
  await turns();
  expect(peer.submits).toHaveLength(16);
  peer.flush();
  await turns();
  peer.flush();
  await ada.client.settled(20);
  expect(ada.durable).toEqual([8, 16, 20]);
});

test('after a cut it says what it was told, and sends again only what is not durable, byte for byte', async () => {
  const peer = createPeer();
  const ada = studentAt(peer);
  await ada.client.open();
  await ada.client.submit({ n: 1 });
  await ada.client.settled(1);
  peer.autoFlush = false;
  await ada.client.submit({ n: 2 });
  await ada.client.submit({ n: 3 });
  await turns();
  peer.lose(1);
  peer.autoFlush = true;
  peer.cut(1006);
  await ada.client.settled(3);
  expect(peer.opens[1]).toEqual([ada.client.state.writer, { seq: 1, incarnation: 'first' }]);
  expect(peer.submits.map(({ seq, text }) => `${seq} ${text}`)).toEqual([
    '1 {"n":1}',
    '2 {"n":2}',
    '3 {"n":3}',
    '2 {"n":2}',
    '3 {"n":3}',
  ]);
  expect(ada.alarms).toEqual([]);
  expect(ada.phases).toEqual(['connecting', 'open', 'waiting', 'connecting', 'open']);
});

test('a lost reply: what is durable without its knowledge is learnt at the next Open, and not sent again', async () => {
  const peer = createPeer();
  peer.autoFlush = false;
  const ada = studentAt(peer);
  await ada.client.open();
  await ada.client.submit('one');
  await turns();
  peer.isSilent = true;
  peer.flush();
  peer.isSilent = false;
  peer.cut(1006);
  await ada.client.settled(1);
  expect(peer.submits).toHaveLength(1);
  expect(ada.alarms).toEqual([]);
});

test('a server that lost data under the same incarnation: an alarm, and everything from there is sent again', async () => {
  const peer = createPeer();
  const ada = studentAt(peer);
  await ada.client.open();
  for (let n = 1; n <= 9; n++) await ada.client.submit(n);
  await ada.client.settled(9);
  peer.lose(5);
  peer.cut(1006);
  await until(() => ada.alarms.length > 0, { what: 'the alarm' });
  await ada.client.settled(9);
  expect(ada.alarms.map(({ code }) => code)).toEqual(['server_lost_data']);
  expect(ada.alarms[0]!.message).toBe('the server has 5 answers, and had confirmed 9');
  expect(heldBy(peer, ada)).toEqual(['1', '2', '3', '4', '5', '6', '7', '8', '9']);
  peer.cut(1006);
  await until(() => peer.opens.length === 3 && ada.client.state.phase === 'open', { what: 'another connection' });
  expect(ada.alarms).toHaveLength(1);
});

test('a loss that shows in the middle of a connection is found by comparing anew', async () => {
  const peer = createPeer();
  const ada = studentAt(peer);
  await ada.client.open();
  for (let n = 1; n <= 4; n++) await ada.client.submit(n);
  await ada.client.settled(4);
  peer.lose(2);
  await ada.client.submit(5);
  await ada.client.settled(5);
  expect(ada.alarms.map(({ code }) => code)).toEqual(['server_lost_data']);
  expect(heldBy(peer, ada)).toEqual(['1', '2', '3', '4', '5']);
});

test('a new incarnation is refilled with a notice, without an alarm', async () => {
  const peer = createPeer();
  const ada = studentAt(peer);
  await ada.client.open();
  for (let n = 1; n <= 3; n++) await ada.client.submit(n);
  await ada.client.settled(3);
  peer.lose(0);
  peer.incarnation = 'second';
  peer.cut(1012);
  await until(() => heldBy(peer, ada).length === 3, { what: 'the refill' });
  expect(ada.notices.map(({ code }) => code)).toEqual(['refilling']);
  expect(ada.alarms).toEqual([]);
});

/** Two copies of one outbox, as a restored disk image makes them. */
async function copiesOf(peer: Peer): Promise<[Student, Student]> {
  const box = memoryOutbox();
  const contents = await box.open();
  const copy = (): Outbox => ({
    ...memoryOutbox(),
    open: async () => ({ ...contents, texts: [] }),
    append() {},
    async bind() {},
    tell() {},
    clear: async () => expect.fail('a forked outbox was cleared'),
  });
  return [studentAt(peer, { outbox: copy() }), studentAt(peer, { outbox: copy() })];
}

test.each([
  ['the server has more than the outbox', 0],
  ['the server has another history', 1],
  ['the server has another beginning of a longer history', 3],
])('a copied outbox, %s: alarm, nothing is sent, nothing forgotten', async (_what, mine) => {
  const peer = createPeer();
  const [first, second] = await copiesOf(peer);
  await first.client.open();
  await first.client.submit('the first one’s');
  await first.client.settled(1);
  for (let n = 0; n < mine; n++) await second.client.submit(`the second one’s ${n}`);
  const settled = mine > 0 ? second.client.settled(1) : Promise.reject({ code: 'forked' });
  const outcome = expect(settled).rejects.toMatchObject({ code: 'forked' });
  await expect(second.client.open()).rejects.toMatchObject({ code: 'forked' });
  await outcome;
  await turns();
  expect(second.client.state).toMatchObject({ phase: 'alarm', stored: mine, durable: 0 });
  expect(second.alarms.map(({ code }) => code)).toEqual(['forked']);
  expect(peer.submits).toHaveLength(1);
  await expect(second.client.submit('more')).rejects.toMatchObject({ code: 'forked' });
  await expect(second.client.finish()).rejects.toMatchObject({ code: 'forked' });
});

test('a copied outbox that is open at the same time is found by the first event that differs', async () => {
  const peer = createPeer();
  const [first, second] = await copiesOf(peer);
  await Promise.all([first.client.open(), second.client.open()]);
  await first.client.submit('one');
  await first.client.settled(1);
  await second.client.submit('another one');
  await expect(second.client.settled(1)).rejects.toMatchObject({ code: 'forked' });
  expect(second.client.state.phase).toBe('alarm');
  await first.client.submit('two');
  await first.client.settled(2);
});

test('a server that confirms more than this outbox numbered has it from a copy', async () => {
  const peer = createPeer();
  const [first, second] = await copiesOf(peer);
  await Promise.all([first.client.open(), second.client.open()]);
  await first.client.submit('one');
  await first.client.settled(1);
  peer.tell('Durable', 1);
  await until(() => second.client.state.phase === 'alarm', { what: 'the alarm' });
  expect(second.alarms.map(({ code }) => code)).toEqual(['forked']);
  expect(first.client.state.phase).toBe('open');
});

test('an outbox of another session, or of another student, sends nothing', async () => {
  const outbox = memoryOutbox();
  const peer = createPeer();
  const ada = studentAt(peer, { outbox });
  await ada.client.open();
  await ada.client.submit('for the first session');
  await ada.client.close();
  const other = createPeer('f2d8a0c4-0000-4000-8000-000000000002');
  const again = studentAt(other, { outbox });
  await expect(again.client.open()).rejects.toMatchObject({ code: 'other_session' });
  await again.client.close();
  const bob = studentAt(peer, { outbox, token: 'bob' });
  await expect(bob.client.open()).rejects.toThrow(/belongs to ada, and the token to bob/);
  expect(other.submits).toEqual([]);
  await bob.client.close();
  const back = studentAt(peer, { outbox });
  await back.client.open();
  await back.client.settled(1);
});

test('refused as late: said to who waits; offered again when the deadline moves', async () => {
  const peer = createPeer();
  peer.autoFlush = false;
  const ada = studentAt(peer);
  await ada.client.open();
  await ada.client.submit('too late');
  const settled = expect(ada.client.settled(1)).rejects.toMatchObject({ code: 'late' });
  await turns();
  peer.lose(0);
  peer.tell('Refused', 'late', 0);
  await settled;
  expect(ada.client.state).toMatchObject({ phase: 'open', stored: 1, durable: 0, problem: { code: 'late' } });
  await ada.client.submit('later still');
  await expect(ada.client.settled(2)).rejects.toMatchObject({ code: 'late' });
  expect(peer.submits).toHaveLength(1);
  peer.autoFlush = true;
  peer.tell('Deadline', 1_900_000_000_000);
  await until(() => ada.client.state.durable === 2, { what: 'both to be taken' });
  expect(ada.told).toEqual([['deadline', 1_900_000_000_000]]);
  expect(ada.client.state).toMatchObject({ deadline: 1_900_000_000_000, problem: null });
});

test('refused because the server is in trouble: waits and tries again by itself', async () => {
  const peer = createPeer();
  peer.autoFlush = false;
  const ada = studentAt(peer);
  await ada.client.open();
  await ada.client.submit('one');
  await turns();
  peer.lose(0);
  peer.autoFlush = true;
  peer.tell('Refused', 'full', 0);
  await ada.client.settled(1);
  expect(ada.phases).toEqual(['connecting', 'open', 'waiting', 'connecting', 'open']);
});

test('verified: the outbox is let go, and its next use is another writer’s', async () => {
  const peer = createPeer();
  const outbox = memoryOutbox();
  const ada = studentAt(peer, { outbox });
  await ada.client.open();
  await ada.client.submit('one');
  await ada.client.settled(1);
  const { writer } = ada.client.state;
  peer.tell('Verified', 'ab'.repeat(32));
  await until(() => ada.told.length > 0, { what: 'the verdict' });
  expect(ada.told).toEqual([['verified', 'ab'.repeat(32)]]);
  expect(ada.client.state).toMatchObject({ phase: 'verified', verified: 'ab'.repeat(32), problem: null });
  await expect(ada.client.submit('more')).rejects.toMatchObject({ code: 'verified' });
  await ada.client.close();
  const contents = await outbox.open();
  expect(contents.texts).toEqual([]);
  expect(contents.writer).not.toBe(writer);
});

test('verified without some of its answers: an alarm, and the outbox keeps everything', async () => {
  const peer = createPeer();
  const outbox = memoryOutbox();
  const ada = studentAt(peer, { outbox });
  await ada.client.open();
  await ada.client.submit('in time');
  await ada.client.settled(1);
  peer.autoFlush = false;
  await ada.client.submit('after the seal');
  const settled = expect(ada.client.settled(2)).rejects.toMatchObject({ code: 'sealed' });
  await turns();
  peer.tell('Refused', 'sealed', 1);
  await settled;
  peer.tell('Verified', 'ab'.repeat(32));
  await until(() => ada.client.state.phase === 'verified', { what: 'the verdict' });
  await until(() => ada.told.length > 0, { what: 'its callback' });
  expect(ada.alarms.map(({ code }) => code)).toEqual(['unsent_at_verified']);
  await ada.client.close();
  expect((await outbox.open()).texts).toEqual(['"in time"', '"after the seal"']);
});

test('a server that lost data and says Verified all the same is not believed', async () => {
  const peer = createPeer();
  const outbox = memoryOutbox();
  const ada = studentAt(peer, { outbox });
  await ada.client.open();
  await ada.client.submit('one');
  await ada.client.settled(1);
  peer.lose(0);
  peer.autoFlush = false;
  peer.cut(1006);
  await until(() => peer.opens.length === 2 && ada.client.state.phase === 'open', { what: 'another connection' });
  peer.tell('Verified', 'ab'.repeat(32));
  await until(() => ada.told.length > 0, { what: 'the verdict' });
  expect(ada.alarms.map(({ code }) => code)).toEqual(['server_lost_data', 'unsent_at_verified']);
  await ada.client.close();
  expect((await outbox.open()).texts).toEqual(['"one"']);
});

test('finish waits for everything, and gives the receipt again and again', async () => {
  const peer = createPeer();
  peer.autoFlush = false;
  const outbox = memoryOutbox();
  const ada = studentAt(peer, { outbox });
  await ada.client.open();
  await ada.client.submit(1);
  await ada.client.submit(2);
  const finishing = ada.client.finish();
  await expect(ada.client.submit(3)).rejects.toMatchObject({ code: 'finishing' });
  await turns();
  expect(ada.client.state.receipt).toBeNull();
  peer.flush();
  const receipt = await finishing;
  expect(receipt).toMatchObject({ lastSeq: 2, chain: chainOf(peer, 'ada', ada.client.state.writer!) });
  expect(ada.client.state.receipt).toBe(receipt);
  expect(await ada.client.finish()).toBe(receipt);
  await ada.client.close();
  const later = studentAt(peer, { outbox });
  await later.client.open();
  expect(await later.client.finish()).toMatchObject({ lastSeq: 2, chain: receipt.chain });
});

test('an empty paper can be finished', async () => {
  const peer = createPeer();
  const ada = studentAt(peer);
  await ada.client.open();
  expect(await ada.client.finish()).toMatchObject({
    lastSeq: 0,
    chain: chainOf(peer, 'ada', ada.client.state.writer!),
  });
});

test('finish is repeated when its answer is lost, or when the server turns out to have less', async () => {
  const peer = createPeer();
  const ada = studentAt(peer);
  await ada.client.open();
  for (let n = 1; n <= 3; n++) await ada.client.submit(n);
  await ada.client.settled(3);
  peer.lose(1);
  peer.isSilent = true;
  const finishing = ada.client.finish();
  await turns();
  peer.isSilent = false;
  peer.cut(1006);
  expect(await finishing).toMatchObject({ lastSeq: 3 });
  expect(heldBy(peer, ada)).toEqual(['1', '2', '3']);
  expect(ada.alarms.map(({ code }) => code)).toEqual(['server_lost_data']);

  const bob = studentAt(peer, { token: 'bob' });
  await bob.client.open();
  for (let n = 1; n <= 3; n++) await bob.client.submit(n);
  await bob.client.settled(3);
  peer.lose(1);
  expect(await bob.client.finish()).toMatchObject({ lastSeq: 3 });
});

test('the token function is asked again after a refusal; refused again and again, the client gives up and says why', async () => {
  const peer = createPeer();
  peer.refuseWith = { code: 1006, status: 401 };
  let asked = 0;
  const token = () => {
    asked++;
    return 'ada';
  };
  const ada = studentAt(peer, { token });
  await ada.client.submit('kept');
  const settled = expect(ada.client.settled(1)).rejects.toMatchObject({ code: 'token_refused' });
  await expect(ada.client.open()).rejects.toMatchObject({ code: 'token_refused' });
  await settled;
  expect(asked).toBe(5);
  expect(ada.client.state).toMatchObject({ phase: 'stopped', problem: { code: 'token_refused' } });
  expect(await ada.client.submit('kept too')).toBe(2);
  peer.refuseWith = null;
  await ada.client.open();
  await ada.client.settled(2);
  expect(asked).toBe(6);
});

test('a token that works is kept over reconnects; a token function that fails is asked again later', async () => {
  const peer = createPeer();
  let asked = 0;
  const token = async () => {
    if (++asked === 1) throw new Error('the school is offline');
    return 'ada';
  };
  const ada = studentAt(peer, { token });
  await ada.client.open();
  for (const [i, code] of [1012, 1006, 1013].entries()) {
    peer.cut(code);
    const isBack = () => peer.opens.length === i + 2 && ada.client.state.phase === 'open';
    await until(isBack, { what: 'another connection' });
  }
  expect(asked).toBe(2);
});

test('superseded by another device it stops, and open() takes over again', async () => {
  const peer = createPeer();
  const ada = studentAt(peer);
  await ada.client.open();
  peer.tell('Superseded');
  await until(() => ada.client.state.phase === 'stopped', { what: 'the end' });
  await turns();
  expect(peer.connections.size).toBe(0);
  expect(ada.client.state.problem).toMatchObject({ code: 'superseded' });
  await ada.client.open();
  expect(ada.client.state.problem).toBeNull();
});

test('announcements and closings are passed on; what is not known is ignored; nonsense ends the connection', async () => {
  const peer = createPeer();
  const ada = studentAt(peer);
  await ada.client.open();
  peer.tell('Announcement', 'Question 4 has a misprint.');
  peer.tell('Closing', 'finalizing', 30);
  peer.tell('SomethingNew', { from: 'the future' });
  await turns();
  expect(ada.told).toEqual([
    ['announcement', 'Question 4 has a misprint.'],
    ['closing', 'finalizing', 30],
  ]);
  expect(ada.client.state.phase).toBe('open');
  peer.tell('Durable', 'all');
  await until(() => peer.opens.length === 2, { what: 'another connection' });
});

test('one client at a time uses an outbox', async () => {
  const peer = createPeer();
  const outbox = memoryOutbox();
  const ada = studentAt(peer, { outbox });
  await ada.client.open();
  const second = studentAt(peer, { outbox });
  await expect(second.client.open()).rejects.toMatchObject({ code: 'outbox_in_use' });
  await ada.client.close();
  await second.client.open();
});

test('an outbox that fails: submit says so, what is stored goes on, nothing follows the failed one', async () => {
  const peer = createPeer();
  const inner = memoryOutbox();
  const failing: Outbox = {
    ...inner,
    append: async (seq, text) => {
      if (seq > 2) throw Object.assign(new Error('disk full'), { code: 'outbox_failed' });
      await inner.append(seq, text);
    },
  };
  const ada = studentAt(peer, { outbox: failing });
  await ada.client.open();
  await Promise.all([ada.client.submit(1), ada.client.submit(2)]);
  await expect(ada.client.submit(3)).rejects.toMatchObject({ code: 'outbox_failed' });
  await expect(ada.client.submit(4)).rejects.toMatchObject({ code: 'outbox_failed' });
  expect(await ada.client.finish()).toMatchObject({ lastSeq: 2 });
  expect(heldBy(peer, ada)).toEqual(['1', '2']);
});

test("the server's clock does not follow the device's", async () => {
  const peer = createPeer();
  const ada = studentAt(peer);
  const { serverTime } = await ada.client.open();
  vi.setSystemTime(serverTime + 3_600_000);
  try {
    expect(Math.abs(ada.client.serverNow() - serverTime)).toBeLessThan(5_000);
  } finally {
    vi.useRealTimers();
  }
});

test('a start is spread: the first connection comes at a random moment within the time given', async () => {
  const peer = createPeer();
  const ada = studentAt(peer, { startSpreadMs: 200, random: () => 0.5 });
  const start = performance.now();
  await ada.client.open();
  expect(performance.now() - start).toBeGreaterThanOrEqual(99);
});

test('pings go out; a server that falls silent is given up for another connection', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  try {
    const peer = createPeer();
    const ada = studentAt(peer, { timers: createTimers() });
    const opening = ada.client.open();
    await turns();
    vi.advanceTimersByTime(100);
    await turns();
    await opening;
    peer.isSilent = true;
    vi.advanceTimersByTime(hubTimes.silenceMs - 1_000);
    await turns();
    expect(ada.client.state.phase).toBe('open');
    vi.advanceTimersByTime(1_100);
    peer.isSilent = false;
    await turns();
    vi.advanceTimersByTime(1_000);
    await turns();
    expect(ada.client.state.phase).toBe('open');
    expect(peer.opens).toHaveLength(2);
    await ada.client.close();
    expect(vi.getTimerCount()).toBe(0);
  } finally {
    vi.useRealTimers();
  }
});

test.each(['at rest', 'connecting', 'open', 'waiting', 'with a server that never closes'])(
  'close() %s leaves no timer and no connection, tells who waits, and gives the outbox back',
  async (when) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    try {
      const peer = createPeer();
      const outbox = memoryOutbox();
      const connect = peerConnect(peer);
      const deaf: typeof connect = (url, token, events) => ({ ...connect(url, token, events), close() {} });
      const isDeaf = when === 'with a server that never closes';
      const ada = studentAt(peer, { outbox, timers: createTimers(), ...(isDeaf ? { connect: deaf } : {}) });
      await ada.client.submit('waits');
      peer.autoFlush = false;
      const settled = expect(ada.client.settled(1)).rejects.toMatchObject({ code: 'client_closed' });
      const opening = when === 'at rest' ? null : ada.client.open();
      opening?.catch(() => {});
      await turns();
      if (when !== 'connecting') {
        vi.advanceTimersByTime(100);
        await turns();
      }
      if (when === 'waiting') {
        peer.refuseWith = { code: 1013 };
        peer.cut(1013);
        await turns();
        expect(ada.client.state.phase).toBe('waiting');
      }
      const closing = ada.client.close();
      expect(ada.client.close()).toBe(closing);
      await turns();
      vi.advanceTimersByTime(hubTimes.closeMs + 100);
      await turns();
      await closing;
      await settled;
      expect(vi.getTimerCount()).toBe(0);
      expect(peer.connections.size).toBe(0);
      expect((await outbox.open()).texts).toEqual(['"waits"']);
      await expect(ada.client.open()).rejects.toMatchObject({ code: 'client_closed' });
      await expect(ada.client.submit('more')).rejects.toMatchObject({ code: 'client_closed' });
    } finally {
      vi.useRealTimers();
    }
  },
);
