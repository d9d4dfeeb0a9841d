import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { objectNames } from '#operator/kubernetes/names.ts';
import type { Exam } from './exam.ts';
import { type Hall, sessionManifest } from './hall.ts';
import { scaleOperator } from './operators.ts';

/** Complaints: no operator, no service; and whatever applies the manifests again takes back what an admin did. */
export function operatorsAway(hall: () => Hall, exam: () => Exam): void {
  test('students do not need the operator; a finalize that it missed is done, whatever applies the manifest', async () => {
    const { ref, spec, students } = exam();
    const manifest = { ...sessionManifest(ref.name), spec };
    const finalizing = async () => expect((await hall().session(ref))!.spec).toMatchObject({ phase: 'Finalizing' });
    const applyAgain = async () => {
      const bySomebody = ['--server-side', '--force-conflicts', '--field-manager=argocd'];
      for (const how of [[], bySomebody]) {
        const { code, stderr } = await hall().tryKubectl(['apply', ...how, '-f', '-'], manifest);
        expect(code, stderr).toBe(0);
        await finalizing();
      }
    };
    await scaleOperator(hall(), 0);
    try {
      students.gapMs();
      const [gateway] = await hall().pods(ref, 'gateway');
      await hall().kill(gateway!.metadata.name);
      await hall().kill(objectNames(ref).redisPod(0));
      await students.goOn(100);
      console.log(`away: the longest wait for an acknowledgement was ${students.gapMs()} ms`);
      await students.settle();
      await hall().edit(ref, { spec: { phase: 'Finalizing' } });
      await sleep(1_000);
      expect(await hall().status(ref)).toMatchObject({ phase: 'Active' });
      await applyAgain();
    } finally {
      await scaleOperator(hall(), 2);
    }
    await hall().whenStatus(ref, 'Draining', ({ phase }) => phase === 'Draining');
    await applyAgain();
    await hall().when(ref, 'Sealed');
    await applyAgain();
    const { code, stderr } = await hall().tryKubectl(['replace', '-f', '-'], manifest);
    expect(code).not.toBe(0);
    expect(stderr).toContain('spec.phase cannot go back to Active: sealing has begun');
    await finalizing();
  });
}
