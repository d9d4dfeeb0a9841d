import { expect, test } from 'vitest';
import { annotationNames, finalizers, objectNames, type SessionRef } from '#operator/kubernetes/names.ts';
import { until } from '#test/support/until.ts';
import { beginExam, seconds } from './exam.ts';
import { type Hall, kinds, sessionManifest, smallSpec } from './hall.ts';
import { seatClass } from './students.ts';

/** Complaints: stuck finalizers, volumes that go with what used them, a new object that meets the old one's data. */
export function deletions(hall: () => Hall): void {
  test('an exam that is not verified is deleted by who says so only, and one of its name is another one', async () => {
    const { ref: old, students } = await beginExam(hall(), 'again');
    await students.goOn(30);
    const refused = await hall().tryKubectl(['delete', 'exam', 'again', '--wait=false']);
    expect(refused.stderr).toContain('is not verified: its answers are not proved to be in the table');
    const wholesale = await hall().tryKubectl(['delete', 'namespace', old.namespace, '--wait=false']);
    expect(wholesale.stderr).toMatch(/holds ExamSession \S+, which is not verified/);
    expect((await hall().session(old))!.metadata.deletionTimestamp).toBeUndefined();

    const volumes = await volumesOf(hall(), old);
    await hall().edit(old, { metadata: { annotations: { [annotationNames.deleteUnverified]: old.uid } } });
    await hall().kubectl('delete', 'exam', 'again', '--wait=false');
    const ref = await recreate(hall(), old);
    expect(ref.uid).not.toBe(old.uid);
    await hall().when(ref, 'Ready');
    expect(await hall().named(ref, 'PersistentVolumeClaim')).toEqual([objectNames(ref).redisClaim(0)]);
    expect(volumes).not.toContain((await volumesOf(hall(), ref))[0]);
    expect(await claimFinalizers(hall(), old)).toEqual([[]]);
    expect(await claimFinalizers(hall(), ref)).toEqual([[finalizers.answers]]);
    // Students of the same names begin anew.
    const newcomers = await seatClass(hall(), ref, 20);
    await newcomers.goOn(30);
    expect(await hall().status(ref)).toMatchObject({ students: { seen: expect.any(Number) } });
    expect(newcomers.told).toEqual([]);
    await hall().abandon(ref);
  });
}

/** As whoever applies manifests does: again and again, until it is taken. */
async function recreate(hall: Hall, { name, namespace }: SessionRef): Promise<SessionRef> {
  const startedAt = performance.now();
  const object = { ...sessionManifest(name), spec: smallSpec() };
  let refusal = '';
  const made = async () => {
    const { code, stderr } = await hall.tryKubectl(['create', '-f', '-'], object);
    if (code !== 0) refusal = stderr.trim();
    return code === 0;
  };
  await until(made, { what: 'the name to be free', timeoutMs: 60_000, everyMs: 200 });
  const left = (await hall.api.list({ ...kinds.Pod, namespace, labelSelector: `untradex.io/session=${name}` })).items;
  console.log(`${name}: free after ${seconds(startedAt)} s, ${left.length} old pods still there; before: ${refusal}`);
  return { namespace, name, uid: (await hall.session({ name }))!.metadata.uid! };
}

async function claimsOf({ api, namespace }: Hall, ref: SessionRef) {
  const labelSelector = `untradex.io/session-uid=${ref.uid}`;
  return (await api.list({ ...kinds.PersistentVolumeClaim, namespace, labelSelector })).items;
}

async function volumesOf(hall: Hall, ref: SessionRef): Promise<string[]> {
  return (await claimsOf(hall, ref)).map(({ spec }) => (spec as { volumeName: string }).volumeName).sort();
}

/** Ours; the cluster has one of its own while a pod uses the claim. */
async function claimFinalizers(hall: Hall, ref: SessionRef) {
  const own = (all: readonly string[] = []) => all.filter((one) => one.startsWith('untradex.io/'));
  return (await claimsOf(hall, ref)).map(({ metadata }) => own(metadata.finalizers));
}
