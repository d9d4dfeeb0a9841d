import { beforeAll, describe, expect, it } from 'vitest';
import { newsBetween } from '#gateway/sessionwatch.ts';
import { seal } from '#queue/seal.ts';
import { setDeadlines, writeSession } from '#queue/session.ts';
import type { SessionState } from '#queue/sessionfields.ts';
import { startSession, type TestGateway, type TestSession } from './testgateway.ts';
import { connect, type WireClient } from './wireclient.ts';

describe('a session that changes', () => {
  let session: TestSession;
  let gateway: TestGateway;

  beforeAll(async () => {
    session = await startSession();
    gateway = await session.start();
  }, 60_000);

  async function seated(student: string): Promise<WireClient> {
    const client = await connect(gateway.url, await session.token(student));
    expect(await client.invoke('Open', 'writer-01')).toHaveProperty('result');
    return client;
  }

  it('tells deadlines, own ones too, and Open says the same', async () => {
    const { shard } = session.shards[0]!;
    const [ana, eva] = [await seated('ana'), await seated('eva')];
    const closesAt = Date.now() + 3_600_000;
    await writeSession(shard, { closesAt });
    expect(await ana.called('Deadline')).toEqual([closesAt]);
    await setDeadlines(shard, new Map([['eva', closesAt + 900_000]]));
    expect(await eva.called('Deadline', ([ms]) => ms === closesAt + 900_000)).toBeTruthy();
    await writeSession(shard, { closesAt: null });
    expect(await ana.called('Deadline', ([ms]) => ms === null)).toEqual([null]);
    expect((await eva.invoke('State')).result).toMatchObject({ deadline: closesAt + 900_000 });
    expect((await (await seated('eva')).invoke('Open', 'writer-01')).result).toMatchObject({
      deadline: closesAt + 900_000,
    });
    expect(ana.calls('Deadline')).toHaveLength(2);
  });

  it('judges lateness in the queue: refused, or kept with a mark', async () => {
    const { shard } = session.shards[0]!;
    const client = await seated('late');
    await writeSession(shard, { closesAt: Date.now() - 1_000 });
    expect(await client.invoke('Submit', 1, 'late')).toEqual({ error: 'late' });
    client.send('Submit', 1, 'late');
    expect(await client.called('Refused')).toEqual(['late', 0]);
    await writeSession(shard, { late: 'Mark' });
    expect(await client.invoke('Submit', 1, 'late')).toEqual({ result: null });
    await writeSession(shard, { closesAt: null, late: 'Refuse' });
    expect(await client.invoke('Submit', 2, 'in time')).toEqual({ result: null });
  });

  it('announces, and tells the announcement to those who come later', async () => {
    const client = await seated('first');
    const notice = 'Fünf Minuten mehr: 🎓\u2028';
    await writeSession(session.shards[0]!.shard, { notice });
    expect(await client.called('Announcement')).toEqual([notice]);
    expect(await (await seated('second')).called('Announcement')).toEqual([notice]);
  });

  it('ends: Closing, sealed, Verified; the gateway that stays answers', async () => {
    const { shard } = session.shards[0]!;
    const client = await seated('ends');
    await client.invoke('Submit', 1, 1);
    await writeSession(shard, { phase: 'Draining', drainUntil: Date.now() + 30_000 });
    const [reason, seconds] = await client.called('Closing');
    expect(reason).toBe('finalizing');
    expect(seconds).toBeGreaterThan(25);
    expect(await client.invoke('Submit', 2, 2)).toEqual({ result: null });
    const finished = await client.invoke('Finish', 2);

    await seal(shard);
    expect(await client.invoke('Submit', 3, 3)).toEqual({ error: 'sealed' });
    const other = await seated('too-late');
    expect(await other.invoke('Submit', 1, 1)).toEqual({ error: 'sealed' });
    other.send('Submit', 1, 1);
    expect(await other.called('Refused')).toEqual(['sealed', 0]);
    expect(await other.invoke('Finish', 0)).toEqual({ error: 'sealed' });
    const root = 'ab'.repeat(32);
    await writeSession(shard, { phase: 'Completed', verified: root });
    expect(await client.called('Verified')).toEqual([root]);

    const answering = await session.start({ mode: 'answer' });
    const asking = await connect(answering.url, await session.token('ends'));
    expect(await asking.invoke('Submit', 1, 1)).toEqual({ error: 'open_first' });
    expect((await asking.invoke('Open', 'writer-01')).result).toMatchObject({ durableSeq: 2, phase: 'Completed' });
    expect(await asking.called('Verified')).toEqual([root]);
    expect(await asking.invoke('Finish', 2)).toEqual(finished);
    expect(await asking.invoke('Submit', 3, 3)).toEqual({ error: 'sealed' });
    asking.send('Submit', 3, 3);
    expect(await asking.called('Refused')).toEqual(['sealed', 2]);
    expect(await answering.health()).toMatchObject({ mode: 'answer', accepted: 0 });
  });
});

describe('what is news', () => {
  const active: SessionState = {
    phase: 'Active',
    closesAt: null,
    graceMs: 0,
    late: 'Refuse',
    drainUntil: null,
    verified: null,
    notice: null,
    rehearsal: false,
    full: false,
    deadlinesVersion: '',
  };
  const draining: SessionState = { ...active, phase: 'Draining', drainUntil: 61_000 };
  const targets = (before: SessionState | null, now: SessionState) =>
    [...newsBetween(before, now, 1_000).matchAll(/"target":"(\w+)","arguments":(\[[^\]]*\])/g)].map((found) =>
      found.slice(1),
    );

  it.each([
    ['nothing at first', null, active, []],
    ['nothing new', draining, draining, []],
    ['the closing', active, draining, [['Closing', '["finalizing",60]']]],
    ['another end of the closing', draining, { ...draining, drainUntil: 31_000 }, [['Closing', '["finalizing",30]']]],
    ['no closing twice', draining, { ...draining, phase: 'Exporting', drainUntil: 61_000 }, []],
    ['the closing to those who come late', null, { ...active, phase: 'Exporting' }, [['Closing', '["finalizing",0]']]],
    ['an announcement', active, { ...active, notice: 'x' }, [['Announcement', '["x"]']]],
    ['no announcement that is taken back', { ...active, notice: 'x' }, active, []],
    ['the verdict', draining, { ...draining, verified: 'ab' }, [['Verified', '["ab"]']]],
  ] as const)('%s', (_, before, now, expected) => {
    expect(targets(before, now as SessionState)).toEqual(expected);
  });
});
