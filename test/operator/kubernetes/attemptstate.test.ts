import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type AttemptSeen,
  type JobView,
  judgeAttempt,
  lastLineOf,
  progressOf,
} from '#operator/kubernetes/attemptstate.ts';
import type { PodView } from '#operator/kubernetes/podview.ts';
import { attemptPlan } from './exporterparts.ts';

const now = Date.parse('2026-05-04T10:00:00Z');
const at = (msAgo: number) => new Date(now - msAgo).toISOString();
const plan = attemptPlan();
const proof = {
  kind: 'result',
  rows: 200,
  root: plan.root,
  digest: 'd',
  report: '/export/report.json',
  rowsPerSecond: 9,
};

function job(name: string, status: JobView['status'] = {}, metadata: object = {}): JobView {
  const own = { name, namespace: 'exams', uid: `uid-of-${name}`, creationTimestamp: at(20_000) };
  return { apiVersion: 'batch/v1', kind: 'Job', metadata: { ...own, ...metadata }, status };
}

const told = (type: string, msAgo = 1_000) => ({
  conditions: [{ type, status: 'True', reason: 'Why', message: 'because', lastTransitionTime: at(msAgo) }],
});

function pod(owner: string, status: PodView['status'] = {}): PodView {
  const ownerReferences = [{ apiVersion: 'batch/v1', kind: 'Job', name: owner, uid: `uid-of-${owner}` }];
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `${owner}-0-x`, namespace: 'exams', ownerReferences },
    status,
  };
}

function ended(exitCode: number, message?: string, more: object = {}): NonNullable<PodView['status']> {
  const container = { name: 'exporter', image: '', imageID: '', ready: false, restartCount: 0 };
  const terminated = { exitCode, ...(message !== undefined && { message }), ...more };
  return {
    phase: exitCode === 0 ? 'Succeeded' : 'Failed',
    containerStatuses: [{ ...container, state: { terminated } }],
  };
}

const words = (code: string) => JSON.stringify({ kind: 'problem', code, message: 'm', remedy: 'r' });
const judge = (seen: Partial<AttemptSeen>) => judgeAttempt(plan, { load: null, publish: null, pods: [], ...seen }, now);

test('goes from step to step as the Jobs do', () => {
  const [loaded, published] = [job('load', told('Complete')), job('publish', told('Complete'))];
  expect(judge({})).toEqual({ next: 'load' });
  expect(judge({ load: job('load'), pods: [pod('load', { phase: 'Running' })] })).toEqual({
    next: 'wait',
    fault: null,
    begun: true,
  });
  expect(judge({ load: loaded })).toEqual({ next: 'publish' });
  expect(judge({ load: loaded, publish: job('publish'), pods: [pod('publish')] })).toEqual({
    next: 'wait',
    fault: null,
    begun: false,
  });
  const last = pod('publish', ended(0, JSON.stringify(proof)));
  expect(judge({ load: loaded, publish: published, pods: [last] })).toMatchObject({ next: 'over', state: 'succeeded' });
  // The load Job was removed by somebody: what it did is in the staging.
  expect(judge({ publish: published, pods: [last] })).toMatchObject({ next: 'over', state: 'succeeded' });
});

test('succeeds with the sealed root only, whatever pods say', () => {
  const message = fc.oneof(
    fc.constantFrom(
      undefined,
      '',
      'null',
      '{}',
      '{"kind":"result"}',
      words('sink_full'),
      '{"kind":"progress","root":"x"}',
    ),
    fc.string().map((root) => JSON.stringify({ ...proof, root })),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.array(message, { maxLength: 3 }), (messages) => {
      const pods = messages.map((one) => pod('publish', ended(0, one)));
      const verdict = judge({ publish: job('publish', told('Complete')), pods });
      expect(verdict).toMatchObject({
        next: 'over',
        fault: { code: expect.stringMatching(/^(exporter_ended|root_differs)$/) },
      });
    }),
  );
});

test('of several pods that ended badly the one counts that says most', () => {
  const load = job('load', told('Failed'));
  const interrupted = pod('load', ended(75, words('interrupted')));
  const evicted = pod('load', { phase: 'Failed', reason: 'Evicted', message: 'The node was low on resource: memory.' });
  const preempted = pod('load', {
    ...ended(75, words('interrupted')),
    conditions: [{ type: 'DisruptionTarget', status: 'True', reason: 'PreemptionByScheduler' }],
  });
  const killed = pod('load', ended(137, undefined, { reason: 'OOMKilled' }));
  const said = pod('load', ended(75, words('shard_unreachable')));
  const blocked = pod('load', ended(1, words('witness_differs')));
  const fine = pod('load', ended(0, JSON.stringify({ kind: 'result' })));
  const ranks: readonly [PodView[], string, string][] = [
    [[], 'failed', 'exporter_ended'],
    [[fine, interrupted], 'failed', 'interrupted'],
    [[interrupted, killed], 'failed', 'pod_out_of_memory'],
    [[interrupted, pod('load', ended(1))], 'failed', 'exporter_ended'],
    [[killed, evicted], 'failed', 'exporter_disrupted'],
    [[killed, preempted], 'failed', 'exporter_disrupted'],
    [[preempted, said], 'failed', 'shard_unreachable'],
    [[said, evicted, blocked, interrupted], 'blocked', 'witness_differs'],
  ];
  for (const [pods, state, code] of ranks) {
    for (const order of [pods, pods.toReversed()]) {
      expect(judge({ load, pods: order })).toMatchObject({ next: 'over', state, fault: { code }, result: null });
    }
  }
});

test('waits for pods that still work, but not for ever', () => {
  const pods = [pod('load', ended(75, words('sink_full'))), pod('load', { phase: 'Running' })];
  const fault = expect.objectContaining({ code: 'sink_full' });
  for (const type of ['FailureTarget', 'Failed']) {
    expect(judge({ load: job('load', told(type)), pods })).toEqual({ next: 'wait', fault, begun: true });
    expect(judge({ load: job('load', told(type, 31_000)), pods })).toMatchObject({
      next: 'over',
      state: 'failed',
      fault,
    });
  }
  const deleted = job('load', {}, { deletionTimestamp: at(31_000) });
  expect(judge({ load: deleted, pods })).toMatchObject({ next: 'over', state: 'failed', fault });
  // Pods of another Job of that name are not its own.
  expect(
    judge({ load: { ...job('load', told('Failed')), metadata: { name: 'load', uid: 'other' } }, pods }),
  ).toMatchObject({
    next: 'over',
    fault: { code: 'exporter_ended' },
  });
});

test('says when pods are refused', () => {
  expect(judge({ load: job('load') })).toMatchObject({
    next: 'wait',
    begun: false,
    fault: { code: 'exporter_without_pods' },
  });
  expect(judge({ load: job('load', {}, { creationTimestamp: at(2_000) }) })).toMatchObject({
    next: 'wait',
    fault: null,
  });
});

test('adds up what is loaded and what is told', () => {
  const about = { step: 'load', total: 100, rowsPerSecond: 10 } as const;
  const load = job('load', { completedIndexes: '1' });
  const loading = progressOf(plan, { load, publish: null, pods: [] }, [{ ...about, rows: 30 }]);
  expect(loading).toMatchObject({ state: 'running', step: 'load', rows: 130, total: 200, rowsPerSecond: 10 });
  // A pod may have told it just before its shard counts as loaded.
  const twice = progressOf(plan, { load: job('load', { completedIndexes: '0-1' }), publish: null, pods: [] }, [
    { ...about, rows: 100 },
  ]);
  expect(twice.rows).toBe(200);
  const verify = { step: 'verify', rows: 50, total: 200, rowsPerSecond: 5 } as const;
  expect(progressOf(plan, { load, publish: job('publish'), pods: [] }, [verify])).toMatchObject(verify);
  expect(progressOf(plan, { load, publish: job('publish'), pods: [] }, [])).toMatchObject({
    step: 'publish',
    rows: 0,
    total: 200,
  });
});

test('finds the last words among the lines of a log', () => {
  expect(lastLineOf(`half of a li\n${words('a')}\n{"level":30}\nnot json\n`)).toMatchObject({ code: 'a' });
  expect(lastLineOf(undefined)).toBeNull();
  expect(lastLineOf('{"kind":"progress"}')).toBeNull();
});
