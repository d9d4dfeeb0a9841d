import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { finalizers, objectNames, type SessionRef } from '#operator/kubernetes/names.ts';
import { until } from '#test/support/until.ts';
import { type Exam, proveExam, sealExam, seconds } from './exam.ts';
import { type Hall, kinds } from './hall.ts';
import { endingOperators, killOperators } from './operators.ts';
import { putStatus, restoreStatus } from './storedstatus.ts';

/** Complaints: what stands in a status is believed, and work is done again, or undone (promise, cases 18 and 19). */
export function falseProofs(hall: () => Hall, exam: () => Exam): void {
  test('a status that claims a proof, put on an open exam, lets nothing go', async () => {
    const { ref, students } = exam();
    const { conditions, ...status } = (await hall().status(ref))!;
    const proof = { status: 'True', reason: 'RootEqual', message: 'Restored.' } as const;
    const verified = conditions.map((one) => (one.type === 'Verified' ? { ...one, ...proof } : one));
    await putStatus(hall(), ref, { ...status, phase: 'Completed', conditions: verified });
    const startedAt = performance.now();
    await hall().when(ref, 'Verified', 'False', 30_000);
    console.log(`claimed: taken back after ${seconds(startedAt)} s`);
    await students.goOn(30);
    await hall().whenStatus(ref, 'Active', ({ phase }) => phase === 'Active');
  });
}

export function backups(hall: () => Hall, exam: () => Exam): void {
  test('an early status put back on a sealed exam, and all operators killed again and again: one table', async () => {
    const { ref, early } = exam();
    await sealExam(hall(), exam());
    // The API server refuses what an etcd that was restored simply has.
    await expect(putStatus(hall(), ref, early)).rejects.toThrow('status.sealing cannot be removed or changed');
    await restoreStatus(hall(), ref, early);
    const startedAt = performance.now();
    const isVerified = async () => (await hall().condition(ref, 'Verified'))?.status === 'True';
    const killed = await killOperators(hall(), isVerified);
    console.log(`killed: ${killed} operators within ${seconds(startedAt)} s`);
    await proveExam(hall(), exam());
    expect(killed).toBeGreaterThan(1);
    // Each of them heard that it is to end: none was waited for until its grace was over.
    const left = await endingOperators(hall());
    await until(async () => (await endingOperators(hall())).length === 0, { what: `the end of ${left}` });
  });

  test('an early status put back on an exam that is over: no second table, and nothing let go', async () => {
    const { ref, early } = exam();
    await sealExam(hall(), exam());
    const isOver = async () => {
      await hall().whenStatus(ref, 'Completed', ({ phase }) => phase === 'Completed');
      await proveExam(hall(), exam());
    };
    await isOver();
    const nothingRuns = async () => (await hall().pods(ref, 'redis')).length === 0;
    await until(nothingRuns, { what: 'the queue to be stopped', timeoutMs: 60_000, everyMs: 200 });
    // No pass is on its way any more.
    await sleep(3_000);
    const jobs = await jobUids(hall(), ref);
    await restoreStatus(hall(), ref, early);
    const startedAt = performance.now();
    await isOver();
    console.log(`restored: right again after ${seconds(startedAt)} s`);
    expect(await jobUids(hall(), ref)).toEqual(jobs);
    const claims = await hall().named(ref, 'PersistentVolumeClaim');
    expect(claims).toContain(objectNames(ref).redisClaim(1));
    for (const name of claims) {
      const claim = await hall().api.get({ ...kinds.PersistentVolumeClaim, namespace: ref.namespace, name });
      expect(claim!.metadata.finalizers).toContain(finalizers.answers);
    }
  });
}

async function jobUids({ api, namespace }: Hall, ref: SessionRef): Promise<(string | undefined)[]> {
  const labelSelector = `untradex.io/session-uid=${ref.uid}`;
  const { items } = await api.list({ ...kinds.Job, namespace, labelSelector });
  return items.map(({ metadata }) => metadata.uid).sort();
}
