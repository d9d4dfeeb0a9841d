import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, test } from 'vitest';
import { memoryOutbox } from '#client/memoryoutbox.ts';
import { startOf } from '#operator/local/processes.ts';
import type { LocalStatus } from '#operator/local/statusfile.ts';
import type { Phase } from '#operator/status.ts';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { until } from '#test/support/until.ts';
import { condition, newSession, type Session } from './runs.ts';

describe('a run', () => {
  test('leads a session through its life, starts what dies, and ends when it is completed', {
    timeout: 60_000,
  }, async () => {
    const session = newSession('exam: Algebra I', 'gateway: {replicas: 2}');
    const settings = { verifiedLingerSeconds: 2 };
    const run = session.start({ settings });
    const active = await run.phase('Active');
    expect(active).toMatchObject({ name: 'algebra', dataDir: session.folder.root, sealing: null });
    expect([active.pids.gateway.length, active.pids.redis.length]).toEqual([2, 2]);
    await isRefused(session.start(), 'folder_in_use', `process ${run.program.pid},`);

    let verified = '';
    const onVerified = (root: string) => {
      verified = root;
    };
    const ada = await session.student('ada', active.url!, { onVerified });
    await ada.open();
    for (let i = 0; i < 3; i++) await ada.submit({ i });
    process.kill(active.pids.redis[0]!, 'SIGKILL');
    process.kill(active.pids.gateway[0]!, 'SIGKILL');
    await run.until((status) => isWholeAgain(status, active), 'everything to be back');
    expect(run.program.lines.every((line) => line.phase !== 'Failed')).toBe(true);
    for (let i = 3; i < 5; i++) await ada.submit({ i });
    await ada.finish();
    await run.until(({ students, events }) => students.finished === 1 && events.durable === 5, 'the counts');

    await session.edit(['spec', 'phase'], 'Finalizing');
    const completed = await run.phase('Completed', 30_000);
    expect(condition(completed, 'Verified').status).toBe('True');
    expect(completed.events).toMatchObject({ durable: 5, exported: 5 });
    await until(() => verified !== '', { what: 'the client to be told', timeoutMs: 10_000 });
    expect(verified).toBe(completed.redis.root);

    expect(await run.program.ended(20_000)).toEqual({ code: 0, signal: null });
    expect(run.status).toMatchObject({ phase: 'Completed', url: null, pids: { gateway: [], redis: [] } });
    expect(JSON.parse(readFileSync(session.folder.status, 'utf8'))).toEqual(run.status);
    await areGone([...active.pids.gateway, ...active.pids.redis]);
    expect(existsSync(session.folder.database)).toBe(true);
    secretsStaySecret(session);

    // And again: there is nothing left to do, and nothing is started for it.
    const again = session.start({ settings });
    expect(await again.program.ended()).toEqual({ code: 0, signal: null });
    expect(again.status).toMatchObject({ phase: 'Completed', events: { exported: 5 } });
    expect(again.program.lines.every((line) => (line as unknown as LocalStatus).pids.redis.length === 0)).toBe(true);
  });

  test('killed in every phase goes on where it was, and loses no answer', { timeout: 90_000 }, async () => {
    const session = newSession();
    const outbox = memoryOutbox();
    const settings = { verifiedLingerSeconds: 1 };
    const waits: Phase[] = ['Provisioning', 'Active', 'Draining', 'Exporting', 'Completed'];
    let before: LocalStatus | undefined;
    for (const phase of waits) {
      const run = session.start({ settings });
      const reached = await run.phase(phase, 30_000);
      if (before !== undefined) await areGone(before.pids.redis);
      if (phase === 'Active') {
        const ada = await session.student('ada', reached.url!, { outbox });
        await ada.open();
        for (let i = 0; i < 20; i++) await ada.settled(await ada.submit({ i }));
        await ada.close();
        await session.edit(['spec', 'phase'], 'Finalizing');
      }
      before = run.status!;
      await run.kill();
      // Gateways end with their parent; Redis stays, until the next run ends it.
      await areGone(before.pids.gateway);
    }
    const last = session.start({ settings });
    expect(await last.program.ended(30_000)).toMatchObject({ code: 0 });
    expect(last.status).toMatchObject({ phase: 'Completed', events: { durable: 20, exported: 20 } });
    await areGone(before!.pids.redis);
    expect(JSON.parse(readFileSync(session.folder.children, 'utf8'))).toEqual([]);
  });

  test('is refused when its port is taken, its session is broken, or there is none', { timeout: 20_000 }, async () => {
    const session = newSession();
    const server = createServer().listen(0, '127.0.0.1');
    onScopeEnd(() => void server.close());
    await until(() => server.address(), { what: 'a taken port' });
    await isRefused(session.start({ file: `${session.file}.none` }), 'session_missing', session.file);
    await isRefused(session.start({ port: (server.address() as AddressInfo).port }), 'port_taken', 'in use');
    session.set('students', 'forty');
    await isRefused(session.start(), 'session_invalid', 'spec.students');
  });

  test('gives more students more gateways, and never another number of shards; ended by SIGTERM it leaves nothing', {
    timeout: 40_000,
  }, async () => {
    const session = newSession('gateway: {studentsPerReplica: 100}');
    const first = session.start();
    const before = await first.phase('Active');
    expect(before.pids.gateway).toHaveLength(2);
    await session.edit(['spec', 'redis', 'shards'], 5);
    const refused = await first.until((status) => condition(status, 'Accepted').status === 'False', 'the refusal');
    expect(condition(refused, 'Accepted').message).toContain('spec.redis.shards cannot change');
    await session.edit(['spec', 'redis', 'shards'], 2);
    await session.edit(['spec', 'students'], 150);
    const after = await first.until(({ pids }) => pids.gateway.length === 3, 'one more gateway');
    expect(after.plan.shards).toBe(2);
    expect(after.pids.redis).toEqual(before.pids.redis);
    expect(after.plan.why.join(' ')).toContain('never re-sharded');

    await first.stop();
    expect(first.program.exit).toEqual({ code: 0, signal: null });
    await areGone([...after.pids.gateway, ...after.pids.redis]);
    expect(condition(first.status!, 'Ready')).toMatchObject({ status: 'False', reason: 'Stopped' });
    const second = session.start();
    expect(await second.phase('Active')).toMatchObject({ url: before.url, uid: before.uid });
    await second.stop();
  });
});

async function isRefused({ program }: ReturnType<Session['start']>, problem: string, says: string): Promise<void> {
  expect(await program.ended()).toMatchObject({ code: 65 });
  expect(program.lines.at(-1)).toMatchObject({
    problem,
    message: expect.stringContaining(says),
    remedy: expect.stringMatching(/.{10}/),
  });
}

/** Everything runs and is ready, and none of it is the first process that was killed. */
function isWholeAgain({ pids, conditions }: LocalStatus, before: LocalStatus): boolean {
  const ready = conditions.filter(({ type }) => type === 'QueueReady' || type === 'GatewayReady' || type === 'Ready');
  return (
    ready.every(({ status }) => status === 'True') &&
    pids.gateway.length === 2 &&
    pids.redis.length === 2 &&
    !pids.redis.includes(before.pids.redis[0]!) &&
    !pids.gateway.includes(before.pids.gateway[0]!)
  );
}

function areGone(pids: readonly number[]): Promise<unknown> {
  const allGone = async () => (await Promise.all(pids.map(startOf))).every((start) => start === null);
  return until(allGone, { what: `${pids} to end` });
}

/** Nobody else may look into the folder, and no password or key stands in anything but the files for it. */
function secretsStaySecret({ folder }: Session): void {
  const files = readdirSync(folder.root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const pathOf = (entry: (typeof files)[number]) => `${entry.parentPath}/${entry.name}`;
  const keys = files.filter((entry) => entry.parentPath === folder.keys.dir);
  for (const path of [folder.root, folder.keys.dir, ...keys.map(pathOf)]) {
    expect(statSync(path).mode & 0o077, `others may use ${path}`).toBe(0);
  }
  const secretFiles = keys.filter(({ name }) => name !== 'receipt.pub.pem');
  const secrets = secretFiles.map((entry) => readFileSync(pathOf(entry), 'utf8').trim());
  expect(secrets).toHaveLength(5);
  for (const entry of files) {
    if (keys.includes(entry)) continue;
    const text = readFileSync(pathOf(entry), 'latin1');
    for (const secret of secrets) expect(text.includes(secret), `a secret in ${pathOf(entry)}`).toBe(false);
  }
}
