import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { until } from '#test/support/until.ts';
import { startSession, type TestGateway, type TestSession } from './testgateway.ts';
import { connect, openSocket, separator, type WireClient } from './wireclient.ts';

async function seated(session: TestSession, gateway: TestGateway, student: string): Promise<WireClient> {
  const client = await connect(gateway.url, await session.token(student));
  expect(await client.invoke('Open', 'writer-01')).toHaveProperty('result');
  return client;
}

/** Sends one event after the other, as sends, until the connection ends. Gives how many were acknowledged. */
async function write(client: WireClient): Promise<number> {
  for (let seq = 1; !client.closed && client.ws.readyState === client.ws.OPEN; seq++) {
    client.ws.send(`{"type":1,"target":"Submit","arguments":[${seq},${seq}]}${separator}`);
    await sleep(2);
  }
  await client.ended();
  return (client.calls('Durable').at(-1)?.[0] as number | undefined) ?? 0;
}

describe('SIGTERM', () => {
  it('drains: no newcomers, everybody is told and closed in turn, everything acknowledged is in the log', async () => {
    const session = await startSession({ shards: 2 });
    const gateway = await session.start({ drainSeconds: 2 });
    const students = Array.from({ length: 20 }, (_, index) => `student-${index}`);
    const clients = await Promise.all(students.map((student) => seated(session, gateway, student)));
    const writing = clients.map(write);
    await until(() => clients.every((client) => client.calls('Durable').length > 3), { what: 'a running exam' });

    const ends: number[] = [];
    for (const client of clients) client.ws.once('close', () => ends.push(performance.now()));
    gateway.program.kill('SIGTERM');
    expect(await clients[0]!.called('Closing')).toEqual(['restart', 2]);
    await expect(openSocket(gateway.url, await session.token('late'))).rejects.toThrow(/503/);
    expect((await gateway.ops('/ready')).status).toBe(503);
    expect((await gateway.ops('/live')).status).toBe(200);

    const acknowledged = await Promise.all(writing);
    expect(await gateway.program.ended()).toEqual({ code: 0, signal: null });
    expect(clients.map((client) => client.closed)).toEqual(Array(20).fill({ code: 1012, reason: 'restart' }));
    expect(ends.at(-1)! - ends[0]!).toBeGreaterThan(1_000);
    const logged = await session.logged();
    for (const [index, student] of students.entries()) {
      const seqs = logged.filter((event) => event.student === student).map(({ seq }) => seq);
      expect(seqs).toEqual(seqs.map((_, position) => position + 1));
      // What was accepted is acknowledged before the end, so the log and the student agree.
      expect(seqs.length).toBe(acknowledged[index]);
    }
  }, 20_000);

  it('waits for a shard that is away, but not for ever', async () => {
    const session = await startSession();
    const gateway = await session.start({ drainSeconds: 0 });
    const client = await seated(session, gateway, 'ana');
    session.shards[0]!.redis.pause();
    const waiting = client.invoke('Submit', 1, 1).catch((error: Error) => error.message);
    await until(async () => (await gateway.health()).pendingEvents === 1, { what: 'an event under way' });
    gateway.program.kill('SIGTERM');
    expect(await waiting).toBe('closed: 1012 restart');
    expect(await gateway.program.ended(12_000)).toEqual({ code: 0, signal: null });
    session.shards[0]!.redis.resume();
  }, 20_000);

  it('a second time ends at once; so does a parent that is gone', async () => {
    const session = await startSession();
    const gateway = await session.start({ drainSeconds: 60 });
    for (const student of ['ana', 'eva']) await seated(session, gateway, student);
    gateway.program.kill('SIGTERM');
    await until(async () => (await gateway.ops('/ready')).status === 503, { what: 'the drain' });
    gateway.program.kill('SIGTERM');
    expect(await gateway.program.ended(2_000)).toEqual({ code: 1, signal: null });
    const orphan = fork('gateway/main.ts', ['--config', session.config()], {
      execPath: process.execPath,
      silent: true,
    });
    onScopeEnd(() => void orphan.kill('SIGKILL'));
    await once(orphan, 'message');
    orphan.disconnect();
    expect(await once(orphan, 'exit')).toEqual([1, null]);
  });
});

describe('workers of a cluster', () => {
  it('share the port; one drains while the other goes on', async () => {
    const session = await startSession();
    const config = session.config();
    const primary = fork('test/gateway/cluster.ts', [config], {
      execPath: process.execPath,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    onScopeEnd(() => void primary.kill('SIGKILL'));
    const messages: { kind: string; pid: number; port: number; opsPort: number; code?: number }[] = [];
    primary.on('message', (message) => messages.push(message as (typeof messages)[number]));
    const listening = () => messages.filter(({ kind }) => kind === 'listening');
    await until(() => listening().length === 2, { what: 'two workers', timeoutMs: 15_000 });
    const [first, second] = listening();
    expect(first!.port).toBe(second!.port);
    expect(first!.opsPort).not.toBe(second!.opsPort);
    const url = `http://127.0.0.1:${first!.port}/exam`;
    const pidOf = async (opsPort: number) =>
      ((await (await fetch(`http://127.0.0.1:${opsPort}/health`)).json()) as { pid: number }).pid;
    expect([await pidOf(first!.opsPort), await pidOf(second!.opsPort)].sort()).toEqual(
      [first!.pid, second!.pid].sort(),
    );

    const clients = [];
    for (let index = 0; index < 6; index++) {
      const client = await connect(url, await session.token(`student-${index}`));
      await client.invoke('Open', 'writer-01');
      expect(await client.invoke('Submit', 1, index)).toEqual({ result: null });
      clients.push(client);
    }
    process.kill(first!.pid, 'SIGTERM');
    await until(() => messages.some(({ kind, pid }) => kind === 'exit' && pid === first!.pid), {
      what: 'the worker to end',
    });
    expect(messages.find(({ kind }) => kind === 'exit')).toMatchObject({ pid: first!.pid, code: 0 });
    const closed = clients.filter((client) => client.closed);
    expect(closed.length).toBeGreaterThan(0);
    expect(closed.length).toBeLessThan(6);
    for (const client of closed) {
      expect(client.closed).toEqual({ code: 1012, reason: 'restart' });
    }
    const again = await connect(url, await session.token('student-0'));
    expect((await again.invoke('Open', 'writer-01')).result).toMatchObject({ durableSeq: 1 });
    const gone = [primary.pid!, second!.pid];
    primary.kill('SIGKILL');
    const isGone = (pid: number) => {
      try {
        process.kill(pid, 0);
        return false;
      } catch {
        return true;
      }
    };
    await until(() => isGone(gone[1]!), { what: 'the workers to end with their primary' });
  }, 30_000);
});
