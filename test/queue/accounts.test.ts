import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type AclUser, aclFile, passwordHash } from '#queue/acl.ts';
import { append } from '#queue/append.ts';
import { audit, auditBounds } from '#queue/audit.ts';
import type { Endpoint } from '#queue/client.ts';
import { openShard, type Shard } from '#queue/connect.ts';
import { finish } from '#queue/finish.ts';
import { initShard } from '#queue/init.ts';
import { keys } from '#queue/keys.ts';
import { findEvent, readLog } from '#queue/log.ts';
import { sessionRoot } from '#queue/merkle.ts';
import { seal } from '#queue/seal.ts';
import { readDeadline, readSession, setDeadlines, writeSession } from '#queue/session.ts';
import { createShardWriter } from '#queue/shardwriter.ts';
import { touch } from '#queue/touch.ts';
import { readWitness } from '#queue/witness.ts';
import { readWriter, scanFinished, scanWriters } from '#queue/writerstate.ts';
import { hasOpenssl, makeCertificate } from '#test/support/certificate.ts';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { startRedis } from '#test/support/redis.ts';
import { tmpFolder } from '#test/support/tmp.ts';
import { collect } from './collect.ts';
import { testLane } from './testlane.ts';
import { quickTiming, startShard } from './testshard.ts';
import { batchOf, share, testWriter } from './testwriter.ts';

const passwords = { gateway: 'g-secret', exporter: 'e-secret', operator: 'o-secret' };
const identity = { uid: randomUUID(), shard: 0, shards: 1, incarnation: randomUUID() };

/** A Redis with the accounts of acl.ts, initialised by the operator; and a way to connect as each. */
async function startAccounts() {
  const file = join(tmpFolder('acl'), 'users.acl');
  writeFileSync(
    file,
    aclFile({
      gateway: passwordHash(passwords.gateway),
      exporter: passwordHash(passwords.exporter),
      operator: passwordHash(passwords.operator),
    }),
  );
  const redis = await startRedis({ aclFile: file });
  const endpointOf = (username: AclUser): Endpoint => {
    return { host: redis.host, port: redis.port, username, password: passwords[username] };
  };
  await initShard(endpointOf('operator'), { ...identity, exam: 'algebra' });
  const connect = async (user: AclUser): Promise<Shard> => {
    const shard = openShard({ endpoint: endpointOf(user), identity, name: `untradex-${user}`, timing: quickTiming });
    onScopeEnd(() => shard.close());
    await shard.ready(5_000);
    return shard;
  };
  return { endpointOf, connect };
}

test('each program does all that it must with its own account', async () => {
  const { connect } = await startAccounts();
  const [operator, gateway, exporter] = [
    await connect('operator'),
    await connect('gateway'),
    await connect('exporter'),
  ];
  await writeSession(operator, { phase: 'Active', graceMs: 1_000, late: 'Mark', closesAt: null, notice: 'Good luck' });
  await setDeadlines(operator, new Map([['ann', 9_000_000_000_000]]));
  expect(await readSession(gateway)).toMatchObject({ phase: 'Active', notice: 'Good luck', late: 'Mark' });

  const writer = createShardWriter({ shard: gateway });
  onScopeEnd(() => writer.close());
  const ann = await testLane(writer, 'ann', identity);
  for (let i = 0; i < 10; i++) ann.offer();
  await ann.settled();
  await finish(gateway, 'ann', 'writer-1', ann.lane.durable);
  await audit(gateway, [{ at: 1, what: 'finished', who: 'ann' }]);
  expect(await readDeadline(gateway, 'ann')).toBe(9_000_000_000_000);
  expect(await findEvent(gateway, 'ann', 'writer-1', 3, { maxEntries: 10 })).toEqual(ann.payloads[2]);

  await writeSession(operator, { phase: 'Draining', full: true });
  await audit(operator, [{ at: 2, what: 'sealed', who: 'operator', detail: 'by hand' }]);
  const sealed = await seal(operator);
  await touch(exporter);
  expect(await readWitness(exporter)).toMatchObject({ lastId: sealed.sealId, events: 10 });
  expect((await collect(readLog(exporter, { untilSeal: true }))).flatMap(({ events }) => events)).toHaveLength(10);
  const writers = await collect(scanWriters(operator));
  expect(writers).toEqual([{ student: 'ann', writer: 'writer-1', state: ann.lane.durable }]);
  expect(sessionRoot(writers)).toMatch(/^[0-9a-f]{64}$/);
  expect(await collect(scanFinished(operator))).toHaveLength(1);
});

test('an account that may not is refused, without a connection that seems to work', async () => {
  const { connect, endpointOf } = await startAccounts();
  const exporter = await connect('exporter');
  const batch = batchOf(share(testWriter(identity.uid, 'ann', 'writer-1')));
  // Within a script it is an unknown error: an account with half of the rights could have written half of a batch.
  for (const attempt of [append(exporter, batch), seal(exporter)]) {
    await expect(attempt).rejects.toMatchObject({ code: 'shard_error', message: expect.stringContaining('user exec') });
  }
  await expect(writeSession(exporter, { full: true })).rejects.toMatchObject({ code: 'shard_access' });
  expect(await readWitness(exporter)).toMatchObject({ events: 0, sealed: null });
  const wrong = { ...endpointOf('gateway'), password: 'guess' };
  await expect(initShard(wrong, { ...identity, exam: 'algebra' })).rejects.toMatchObject({ code: 'shard_access' });
});

test('audit records are written in bounded batches, and the stream is bounded', async () => {
  const { shard } = await startShard();
  const record = { at: 7, what: 'refused', who: 'ann', detail: 'late' };
  await audit(shard, []);
  await audit(shard, [record, { at: 8, what: 'open', who: 'bob' }]);
  const entries = await shard.run((redis) => redis.xrange(keys.audit, '-', '+'));
  expect(entries.map(([, [name, text]]) => [name, JSON.parse(text!)])).toEqual([
    ['b', [record, { at: 8, what: 'open', who: 'bob' }]],
  ]);
  const tooMany = Array.from({ length: auditBounds.records + 1 }, () => record);
  await expect(audit(shard, tooMany)).rejects.toMatchObject({ code: 'audit_too_large' });
  const tooLong = [{ ...record, detail: 'x'.repeat(auditBounds.bytes) }];
  await expect(audit(shard, tooLong)).rejects.toMatchObject({ code: 'audit_too_large' });
  await Promise.all(Array.from({ length: auditBounds.entries + 300 }, () => audit(shard, [record])));
  expect(await shard.run((redis) => redis.xlen(keys.audit))).toBeLessThan(auditBounds.entries + 200);
});

test('states of a writer are read in one go, and scans find every writer', async () => {
  const { shard, identity: own } = await startShard();
  const ann = testWriter(own.uid, 'ann:b', 'writer-1');
  const origin = ann.state;
  expect(await readWriter(shard, 'ann:b', 'writer-1')).toEqual({ state: origin, deadline: null, finished: null });
  const many = Array.from({ length: 2_000 }, (_, i) => testWriter(own.uid, `student ${i}`, 'writer-1'));
  for (let i = 0; i < 2; i++) {
    await append(shard, batchOf(...many.slice(1_000 * i, 1_000 * (i + 1)).map((one) => share(one))));
  }
  const found = new Map((await collect(scanWriters(shard))).map((one) => [one.student, one.state]));
  expect(found).toEqual(new Map(many.map((one) => [one.student, one.state])));
});

test.skipIf(!hasOpenssl())('over TLS, with the authority that is given and no other', async () => {
  const tls = makeCertificate('redis');
  const redis = await startRedis({ tls });
  const ca = readFileSync(tls.caFile, 'utf8');
  const endpoint = { host: redis.host, port: redis.port, tls: { ca } };
  await initShard(endpoint, { ...identity, exam: 'algebra' });
  const shard = openShard({ endpoint, identity, name: 'tls', timing: quickTiming });
  onScopeEnd(() => shard.close());
  await shard.ready(5_000);
  expect(await touch(shard)).toBeGreaterThan(0);
  await redis.restart();
  await shard.ready(5_000);
  for (const untrusted of [
    { ...endpoint, tls: {} },
    { ...endpoint, tls: { ca, servername: 'elsewhere' } },
  ]) {
    await expect(initShard(untrusted, { ...identity, exam: 'algebra' })).rejects.toMatchObject({
      code: 'shard_access',
    });
  }
});
