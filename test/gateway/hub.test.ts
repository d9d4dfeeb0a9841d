import { beforeAll, describe, expect, it } from 'vitest';
import { limits } from '#queue/limits.ts';
import { checkReceipt } from '#queue/receipt.ts';
import { until } from '#test/support/until.ts';
import { startSession, type TestGateway, type TestSession } from './testgateway.ts';
import { connect, separator, type WireClient } from './wireclient.ts';

let session: TestSession;
let gateway: TestGateway;

beforeAll(async () => {
  session = await startSession({ shards: 2 });
  gateway = await session.start();
}, 60_000);

const join = async (student: string, to = gateway) => connect(to.url, await session.token(student));

async function seated(student: string, writer = 'writer-01', to = gateway): Promise<WireClient> {
  const client = await join(student, to);
  expect(await client.invoke('Open', writer)).toHaveProperty('result');
  return client;
}

const logOf = async (student: string) => (await session.logged()).filter((event) => event.student === student);

describe('Open', () => {
  it('tells where the writer stands, again after every reconnect', async () => {
    const client = await join('opens');
    const { result } = await client.invoke('Open', 'writer-01');
    expect(result).toEqual({
      durableSeq: 0,
      chain: expect.stringMatching(/^[0-9a-f]{64}$/),
      incarnation: expect.any(String),
      session: session.uid,
      student: 'opens',
      serverTime: expect.any(Number),
      deadline: null,
      phase: 'Active',
      finished: null,
    });
    await client.invoke('Submit', 1, 'a');
    client.ws.terminate();
    const again = await join('opens');
    expect((await again.invoke('Open', 'writer-01', 1)).result).toMatchObject({ durableSeq: 1 });
    expect((await again.invoke('State')).result).toMatchObject({ durableSeq: 1 });
  });

  it.each([
    [],
    ['short'],
    [7],
    ['writer-01', 'x'],
    ['writer-01', -1],
    ['writer-01', 1, 2],
    ['writer-01', { chain: 'x' }],
  ])('with the arguments %j %j %j is refused', async (...args) => {
    const client = await join('opens-badly');
    expect(await client.invoke('Open', ...args)).toEqual({ error: 'bad_arguments' });
  });

  it('of another writer leaves the first one', async () => {
    const client = await seated('two-writers', 'writer-01');
    await client.invoke('Submit', 1, 'first');
    expect((await client.invoke('Open', 'writer-02')).result).toMatchObject({ durableSeq: 0 });
    await client.invoke('Submit', 1, 'second');
    expect((await client.invoke('Open', 'writer-01')).result).toMatchObject({ durableSeq: 1 });
    expect(await logOf('two-writers')).toMatchObject([
      { writer: 'writer-01', payload: '"first"' },
      { writer: 'writer-02', payload: '"second"' },
    ]);
  });

  it('comes first: what is invoked before it fails, what is sent before it closes', async () => {
    const client = await join('early');
    expect(await client.invoke('Submit', 1, 1)).toEqual({ error: 'open_first' });
    expect(await client.invoke('State')).toEqual({ error: 'open_first' });
    expect(await client.invoke('Finish', 0)).toEqual({ error: 'open_first' });
    client.send('Submit', 1, 1);
    expect(await client.ended()).toEqual({ code: 1008, reason: 'open_first' });
    expect(client.records.at(-1)).toEqual({ type: 7, error: 'open_first' });
  });

  it('raises an alarm when the shard has less than the client was told, but not under another incarnation', async () => {
    const client = await join('was-told');
    const { incarnation } = (await client.invoke('Open', 'writer-01')).result as { incarnation: string };
    await client.invoke('Open', 'writer-01', { seq: 3, incarnation: 'another' });
    expect((await gateway.health()).alarms.count).toBe(0);
    expect((await client.invoke('Open', 'writer-01', { seq: 3, incarnation })).result).toMatchObject({ durableSeq: 0 });
    const { alarms } = await gateway.health();
    expect(alarms.recent).toMatchObject([{ kind: 'durable_lost', student: 'was-told', told: 3, durable: 0 }]);
    await client.invoke('Open', 'writer-01', { seq: 4, incarnation });
    expect((await gateway.health()).alarms.count).toBe(1);
    const other = await seated('was-told-else');
    await other.invoke('Submit', 1, 1);
    await other.invoke('Open', 'writer-01', { seq: 1, chain: 'f'.repeat(64) });
    expect((await gateway.health()).alarms.count).toBe(2);
  });
});

describe('Submit', () => {
  it('completes an invocation when the event is durable, and keeps its bytes as they stood', async () => {
    const client = await seated('keeps-bytes');
    const text = '{ "b" : "\\u00e9é", "a":[1.0,1e2]}';
    client.say(`{"type":1,"invocationId":"x y","target":"Submit","arguments":[1, ${text} ]}`);
    await until(() => client.records.some((one) => one.invocationId === 'x y'), { what: 'the completion' });
    expect(client.records.at(-1)).toEqual({ type: 3, invocationId: 'x y', result: null });
    expect(await logOf('keeps-bytes')).toEqual([
      { student: 'keeps-bytes', writer: 'writer-01', seq: 1, payload: text },
    ]);
  });

  it('covers sends with a cumulative Durable, and acknowledges repeats again', async () => {
    const client = await seated('sends');
    client.say(...[1, 2, 3].map((seq) => `{"type":1,"target":"Submit","arguments":[${seq},${seq}]}`));
    await client.called('Durable', ([seq]) => seq === 3);
    const before = client.calls('Durable').length;
    client.send('Submit', 2, 2);
    await until(() => client.calls('Durable').length > before, { what: 'Durable for a repeat' });
    expect(client.calls('Durable').at(-1)).toEqual([3]);
    expect(await client.invoke('Submit', 3, 3)).toEqual({ result: null });
    expect(await logOf('sends')).toHaveLength(3);
  });

  it('answers a gap: an invocation with the seq that is missing, sends with one Resend', async () => {
    const client = await seated('gaps');
    await client.invoke('Submit', 1, 1);
    expect(await client.invoke('Submit', 3, 3)).toEqual({ error: 'gap:2' });
    client.say(...[3, 4, 5].map((seq) => `{"type":1,"target":"Submit","arguments":[${seq},${seq}]}`));
    expect(await client.called('Resend')).toEqual([2]);
    client.say(...[2, 3, 4, 5].map((seq) => `{"type":1,"target":"Submit","arguments":[${seq},${seq}]}`));
    await client.called('Durable', ([seq]) => seq === 5);
    expect(client.calls('Resend')).toHaveLength(1);
    expect((await logOf('gaps')).map((event) => event.seq)).toEqual([1, 2, 3, 4, 5]);
  });

  it('tells two copies of one outbox apart: the second is forked, the first goes on', async () => {
    const [first, second] = [await seated('copies'), await seated('copies')];
    await first.invoke('Submit', 1, 'same');
    expect(await second.invoke('Submit', 1, 'same')).toEqual({ result: null });
    await first.invoke('Submit', 2, 'mine');
    expect(await second.invoke('Submit', 2, 'yours')).toEqual({ error: 'forked' });
    second.send('Submit', 2, 'yours');
    expect(await second.called('Refused')).toEqual(['forked', 2]);
    expect(await first.invoke('Submit', 3, 'mine')).toEqual({ result: null });
    expect((await logOf('copies')).map((event) => event.payload)).toEqual(['"same"', '"mine"', '"mine"']);
  });

  it('tells copies apart over two gateways, also when their events are under way at once', async () => {
    const other = await session.start();
    const [first, second] = [await seated('far-copies'), await seated('far-copies', 'writer-01', other)];
    const answers = await Promise.all([
      ...[1, 2, 3].map((seq) => first.invoke('Submit', seq, `first ${seq}`)),
      ...[1, 2, 3].map((seq) => second.invoke('Submit', seq, `second ${seq}`)),
    ]);
    const acknowledged = answers.map((answer) => answer.error === undefined);
    const events = (await logOf('far-copies')).map((event) => event.payload);
    const winner = acknowledged[0] ? 'first' : 'second';
    expect(events).toEqual([1, 2, 3].map((seq) => `"${winner} ${seq}"`));
    expect(acknowledged).toEqual([...Array(3).fill(winner === 'first'), ...Array(3).fill(winner === 'second')]);
  });

  it('looks up in the log whether a repeat that nobody remembers is one', async () => {
    const client = await seated('forgetful');
    for (const seq of [1, 2, 3]) await client.invoke('Submit', seq, seq);
    const fresh = await seated('forgetful', 'writer-01', await session.start());
    expect(await fresh.invoke('Submit', 2, 2)).toEqual({ result: null });
    expect(await fresh.invoke('Submit', 2, 'other')).toEqual({ error: 'forked' });
    expect(await fresh.invoke('Submit', 4, 4)).toEqual({ result: null });
    fresh.send('Submit', 1, 1);
    expect(await fresh.called('Durable')).toEqual([4]);
  });

  it.each([
    ['payload_too_large', JSON.stringify('x'.repeat(20_000))],
    ['payload_nul', '"\\u0000"'],
    ['payload_lone_surrogate', '"\\udc00"'],
  ])('refuses with %s what no database could load, and takes the next', async (error, event) => {
    const client = await seated(`unfit-${error}`);
    client.say(`{"type":1,"invocationId":"u1","target":"Submit","arguments":[1,${event}]}`);
    client.say(`{"type":1,"target":"Submit","arguments":[1,${event}]}`);
    expect(await client.called('Refused')).toEqual([error, 0]);
    expect(client.records).toContainEqual({ type: 3, invocationId: 'u1', error });
    expect(await client.invoke('Submit', 1, 'fine')).toEqual({ result: null });
  });

  it.each([[[]], [[1]], [[1, 2, 3]], [['1', 2]], [[0, 2]], [[1.5, 2]]])(
    'with the arguments %j is refused',
    async (args) => {
      const client = await seated('bad-submits');
      expect(await client.invoke('Submit', ...args)).toEqual({ error: 'bad_arguments' });
      client.send('Submit', ...args);
      expect(await client.ended()).toEqual({ code: 1008, reason: 'bad_arguments' });
    },
  );

  it('of more writers than a student may have is over the quota', async () => {
    const client = await join('many-writers');
    const answers = [];
    for (let writer = 0; writer <= limits.writersPerStudent; writer++) {
      await client.invoke('Open', `writer-${writer + 100}`);
      answers.push(await client.invoke('Submit', 1, writer));
    }
    expect(answers.pop()).toEqual({ error: 'quota' });
    expect(answers).toEqual(Array(limits.writersPerStudent).fill({ result: null }));
  });
});

describe('Finish', () => {
  it('gives a receipt for exactly what is durable, and the same one again', async () => {
    const client = await seated('finishes');
    for (const seq of [1, 2]) client.send('Submit', seq, seq);
    const { result } = (await client.invoke('Finish', 2)) as {
      result: { receipt: object; time: number; chain: string };
    };
    expect(result).toMatchObject({ lastSeq: 2, receipt: { student: 'finishes', writer: 'writer-01', lastSeq: 2 } });
    expect(checkReceipt(session.receiptPublicKey, result.receipt)).toBe(true);
    expect(checkReceipt(session.receiptPublicKey, { ...result.receipt, lastSeq: 1 })).toBe(false);
    expect((await client.invoke('Finish', 2)).result).toEqual(result);
    expect((await client.invoke('State')).result).toMatchObject({
      durableSeq: 2,
      chain: result.chain,
      finished: { writer: 'writer-01', lastSeq: 2, time: result.time },
    });
  });

  it('is refused while events are missing, or when there are more', async () => {
    const client = await seated('finishes-wrong');
    await client.invoke('Submit', 1, 1);
    await client.invoke('Submit', 2, 2);
    expect(await client.invoke('Finish', 3)).toEqual({ error: 'gap:3' });
    expect(await client.invoke('Finish', 1)).toEqual({ error: 'more:2' });
    expect(await client.invoke('Finish')).toEqual({ error: 'bad_arguments' });
  });

  it('ends the paper: later events of any device are refused', async () => {
    const [client, tablet] = [await seated('ends'), await seated('ends', 'writer-02')];
    await client.invoke('Submit', 1, 1);
    await client.invoke('Finish', 1);
    expect(await client.invoke('Submit', 2, 2)).toEqual({ error: 'finished' });
    expect(await tablet.invoke('Submit', 1, 1)).toEqual({ error: 'finished' });
    tablet.send('Submit', 1, 1);
    expect(await tablet.called('Refused')).toEqual(['finished', 0]);
    expect(await tablet.invoke('Finish', 0)).toEqual({ error: 'finished' });
    expect(await logOf('ends')).toHaveLength(1);
  });

  it('takes an empty paper', async () => {
    const client = await seated('empty-paper');
    expect((await client.invoke('Finish', 0)).result).toMatchObject({ lastSeq: 0, receipt: { lastSeq: 0 } });
  });
});

describe('a connection', () => {
  it('answers calls of unknown methods and streams with an error, and closes when one is only sent', async () => {
    const client = await join('unknown');
    expect(await client.invoke('Delete', 1)).toEqual({ error: 'unknown_method' });
    expect(await client.invoke('constructor')).toEqual({ error: 'unknown_method' });
    client.say('{"type":4,"invocationId":"s","target":"Open","arguments":[]}');
    await until(() => client.records.some((one) => one.invocationId === 's'), { what: 'the answer' });
    client.send('Delete', 1);
    expect(await client.ended()).toEqual({ code: 1008, reason: 'unknown_method' });
  });

  it.each([
    ['half a record', '{"type":6}'],
    ['no JSON', `hello${separator}`],
    ['two objects', `{"type":6}{"type":6}${separator}`],
    ['a doubled key', `{"type":1,"target":"Submit","arguments":[1,2],"type":7}${separator}`],
    ['trailing garbage', `{"type":1,"target":"Submit","arguments":[1,2]}x${separator}`],
    ['an event that is not JSON', `{"type":1,"target":"Submit","arguments":[1,{]}${separator}`],
    ['an empty record', separator],
  ])('is closed for %s, with the reason', async (_, text) => {
    const client = await seated('malformed');
    client.ws.send(text);
    const { code, reason } = await client.ended();
    expect(code).toBe(1008);
    expect(reason).not.toBe('');
    expect(client.records.at(-1)).toMatchObject({ type: 7, error: expect.any(String) });
  });

  it('is closed for what is no text: binary, wrong UTF-8, too large, too many fragments', async () => {
    const closes = async (send: (client: WireClient) => void) => {
      const client = await seated('no-text');
      send(client);
      return (await client.ended()).code;
    };
    expect(await closes(({ ws }) => ws.send(Buffer.from(`{"type":6}${separator}`)))).toBe(1008);
    expect(await closes(({ ws }) => ws.send(Buffer.from([0x22, 0xff, 0x22, 0x1e]), { binary: false }))).toBe(1007);
    expect(await closes(({ ws }) => ws.send(' '.repeat(65_537)))).toBe(1009);
    expect(
      await closes(({ ws }) => {
        for (let part = 0; part < 20; part++) ws.send(' ', { fin: false });
      }),
    ).toBe(1008);
  });

  it('may bundle records, and split a message into a few fragments', async () => {
    const client = await seated('bundles');
    const record = (seq: number) => `{"type":1,"target":"Submit","arguments":[${seq},"é"]}${separator}`;
    client.ws.send(`{"type":6}${separator}${record(1)}${record(2)}{"type":6}${separator}`);
    const bytes = Buffer.from(record(3));
    client.ws.send(bytes.subarray(0, 45), { fin: false, binary: false });
    client.ws.send(bytes.subarray(45), { fin: true });
    await client.called('Durable', ([seq]) => seq === 3);
    expect((await logOf('bundles')).map((event) => event.payload)).toEqual(['"é"', '"é"', '"é"']);
  });

  it('ends in peace when the client says so', async () => {
    const client = await seated('leaves');
    client.say('{"type":7}');
    expect((await client.ended()).code).toBe(1000);
  });
});
