import { setTimeout as sleep } from 'node:timers/promises';
import { KubeConfig } from '@kubernetes/client-node';
import { beforeAll, expect, test } from 'vitest';
import { type Api, createApi } from '#operator/kubernetes/runtime/api.ts';
import { createElection, type Election, type ElectionOptions } from '#operator/kubernetes/runtime/election.ts';
import { startApiServer, type TestApiServer } from '#test/support/apiserver.ts';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { type Program, startProgram } from '#test/support/process.ts';
import { startProxy } from '#test/support/proxy.ts';
import { until } from '#test/support/until.ts';

let cluster: TestApiServer;
let api: Api;

beforeAll(async () => {
  cluster = await startApiServer();
  api = apiAt(cluster.url);
});

function apiAt(server: string, kubeconfig = cluster.kubeconfig): Api {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig);
  const { name, caFile } = config.getCurrentCluster()!;
  config.clusters = [{ name, caFile: caFile!, server, skipTLSVerify: false }];
  const made = createApi(config, { userAgent: 'untradex-test', timeoutMs: 1_000 });
  onScopeEnd(() => made.close());
  return made;
}

const leaseRef = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', namespace: 'default' };
const fast = { leaseMs: 3_000, renewMs: 2_000, retryMs: 300 };

/** A candidate in this process; what happens to it goes into the journal of all of them. */
function candidate(identity: string, name: string, journal: string[], options: Partial<ElectionOptions> = {}) {
  const errors: string[] = [];
  const election = createElection({
    ...{ api, namespace: 'default', name, identity, ...fast },
    onStarted: () => void journal.push(`${identity} leads`),
    onStopped: (reason) => void journal.push(`${identity} ${reason}`),
    onError: (error) => errors.push(String(error)),
    ...options,
  });
  onScopeEnd(() => election.stop());
  return { election, errors };
}

const eventually = (what: string, condition: () => boolean) => until(condition, { what, timeoutMs: 15_000 });

const mayWrite = (election: Election) => {
  try {
    election.fence();
    return true;
  } catch {
    return false;
  }
};

test('of three processes, of which the leader is stopped again and again, never do two lead at a time', async () => {
  const metadata = { name: 'shared', namespace: 'default' };
  const { metadata: made } = await api.create({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data: {} });
  const writes = await recordWrites(made.resourceVersion!);
  const programs = ['a', 'b', 'c'].map((identity) =>
    startProgram({ argv: [process.execPath, 'test/cluster/candidate.ts', cluster.kubeconfig, identity] }),
  );
  for (let round = 1; round <= 3; round++) {
    const leader = await leaderOf(programs);
    await sleep(200 + Math.random() * 800);
    process.kill(leader.pid, 'SIGSTOP');
    await until(() => programs.some((it) => it !== leader && leads(it)), { what: 'the next one', timeoutMs: 15_000 });
    await sleep(300);
    process.kill(leader.pid, 'SIGCONT');
    await until(() => !leads(leader), { what: 'the deposed leader to notice' });
  }
  const last = await leaderOf(programs);
  last.kill('SIGTERM');
  await last.ended();
  await leaderOf(programs.filter((it) => it !== last));
  await sleep(300);

  const terms = writes.map(({ term }) => term);
  const inOrder = terms.filter((term, i) => term !== terms[i - 1]);
  expect(inOrder, 'a term goes on after another began').toEqual([...new Set(terms)]);
  expect(inOrder.length).toBeGreaterThanOrEqual(5);
  expect(terms.length).toBeGreaterThan(100);
  // The stopped ones did try to write before they knew.
  const fenced = programs.flatMap((it) => it.lines).filter((line) => Number(line.fenced) > 0);
  console.log(`${terms.length} writes in ${inOrder.length} terms; ${fenced.length} terms met the fence`);
});

/** Every write to the shared object, in the order in which the API server took them. */
async function recordWrites(resourceVersion: string): Promise<{ readonly term: string }[]> {
  const writes: { term: string }[] = [];
  const stop = new AbortController();
  const query = { apiVersion: 'v1', kind: 'ConfigMap', namespace: 'default', fieldSelector: 'metadata.name=shared' };
  const watching = api.watch(query, { resourceVersion, signal: stop.signal }, ({ type, object }) => {
    if (type === 'MODIFIED') writes.push(object.data as { term: string });
  });
  onScopeEnd(() => {
    stop.abort();
    return watching;
  });
  return writes;
}

function leads({ lines }: Program): boolean {
  const last = lines.findLast((line) => 'started' in line || 'stopped' in line);
  return last !== undefined && 'started' in last;
}

const leaderOf = (programs: readonly Program[]) =>
  until(() => programs.find((it) => it.exit === undefined && leads(it)), { what: 'a leader', timeoutMs: 15_000 });

test('a clean stop ends the work first, and hands over within 3 s at the usual times', async () => {
  const journal: string[] = [];
  const usual = { leaseMs: 15_000, renewMs: 10_000, retryMs: 2_000 };
  let mayWriteAtTheEnd = false;
  const first = candidate('first', 'handover', journal, {
    ...usual,
    async onStopped(reason) {
      await sleep(500);
      mayWriteAtTheEnd = mayWrite(first.election);
      journal.push(`first ${reason}`);
    },
  });
  first.election.start();
  await eventually('the first', () => first.election.isLeader);
  const second = candidate('second', 'handover', journal, usual);
  second.election.start();
  await sleep(500);
  expect(mayWrite(second.election)).toBe(false);
  await first.election.stop();
  const stoppedAt = performance.now();
  expect(mayWrite(first.election)).toBe(false);
  await eventually('the second', () => second.election.isLeader);
  expect(performance.now() - stoppedAt).toBeLessThan(3_000);
  expect(mayWriteAtTheEnd).toBe(true);
  expect(journal).toEqual(['first leads', 'first stopped', 'second leads']);
  const lease = await api.get({ ...leaseRef, name: 'handover' });
  expect(lease!.spec).toMatchObject({ holderIdentity: 'second', leaseDurationSeconds: 15 });
});

test('a leader that the API server hears no more stops before another begins, and is a candidate again', async () => {
  const proxy = await startProxy({ port: Number(new URL(cluster.url).port) });
  const journal: string[] = [];
  const cut = candidate('cut', 'partition', journal, { api: apiAt(`https://127.0.0.1:${proxy.port}`) });
  cut.election.start();
  await eventually('the first', () => cut.election.isLeader);
  const other = candidate('other', 'partition', journal);
  other.election.start();
  proxy.pause();
  await eventually('the other', () => other.election.isLeader);
  expect(journal).toEqual(['cut leads', 'cut lost', 'other leads']);
  expect(mayWrite(cut.election)).toBe(false);
  expect(cut.errors.join()).toContain('no reply in time');
  proxy.resume();
  await other.election.stop();
  await eventually('the first again', () => cut.election.isLeader);
  expect(journal.slice(3)).toEqual(['other stopped', 'cut leads']);
});

test('a restarted API server costs no leader its lease, when it is back in time', async () => {
  const journal: string[] = [];
  const own = await startApiServer();
  const ownApi = apiAt(own.url, own.kubeconfig);
  const { election } = candidate('steady', 'restart', journal, { api: ownApi, leaseMs: 40_000, renewMs: 30_000 });
  election.start();
  await eventually('a leader', () => election.isLeader);
  await own.restart();
  const spec = async () => (await ownApi.get({ ...leaseRef, name: 'restart' }))!.spec as { renewTime: string };
  const { renewTime } = await spec();
  await until(async () => (await spec()).renewTime > renewTime, { what: 'a renewal' });
  expect(election.isLeader).toBe(true);
  expect(journal).toEqual(['steady leads']);
});

test('a deleted Lease is made again by its leader, and nobody else takes it meanwhile', async () => {
  const journal: string[] = [];
  const one = candidate('one', 'deleted', journal);
  one.election.start();
  await eventually('a leader', () => one.election.isLeader);
  const other = candidate('other', 'deleted', journal);
  other.election.start();
  const ref = { ...leaseRef, name: 'deleted' };
  await sleep(400);
  expect(await api.remove(ref)).toBe(true);
  await until(() => api.get(ref), { what: 'the lease' });
  await sleep(1_000);
  expect(journal).toEqual(['one leads']);
  expect((await api.get(ref))!.spec).toMatchObject({ holderIdentity: 'one' });
});

test('work that cannot begin, or end, is told, and the lease goes on to others', async () => {
  const journal: string[] = [];
  const broken = candidate('broken', 'broken', journal, {
    onStarted: () => {
      throw new Error('cannot begin');
    },
    onStopped: () => Promise.reject(new Error('cannot end')),
  });
  broken.election.start();
  await eventually('both errors', () => broken.errors.length >= 2);
  expect(broken.errors.slice(0, 2)).toEqual(['Error: cannot begin', 'Error: cannot end']);
  expect(broken.election.isLeader).toBe(false);
  await broken.election.stop();
  const good = candidate('good', 'broken', journal);
  good.election.start();
  await eventually('the good one', () => good.election.isLeader);
});
