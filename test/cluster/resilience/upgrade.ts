import { expect, test } from 'vitest';
import { type Exam, traceOf } from './exam.ts';
import { type Hall, smallSpec } from './hall.ts';
import { operatorPods } from './operators.ts';
import { expectTold } from './told.ts';

/** Complaints: an upgrade that restarts everything at once, in the middle of the day; it hangs, and nobody says why. */
export function upgrades(hall: () => Hall, exam: () => Exam): void {
  const missing = 'localhost/nobody-has-this:1';
  let next = '';

  /** To the next release, once, with a mistake in it. */
  async function upgrade(): Promise<void> {
    if (next !== '') return;
    next = await hall().release.importAs('next');
    await hall().release.upgrade(['image.tag=next', `redisImage=${missing}`]);
  }

  test('an upgraded operator restarts nothing, also when one of its images does not exist', async () => {
    const { ref, students } = exam();
    await students.goOn(50);
    const [before, operators] = [await traceOf(hall(), ref), await operatorPods(hall())];
    await upgrade();
    const now = await operatorPods(hall());
    expect(now.map(({ image }) => image)).toEqual([next, next]);
    expect(now.filter(({ uid }) => operators.some((old) => old.uid === uid))).toEqual([]);
    students.gapMs();
    await students.goOn(100);
    console.log(`upgrade: the longest wait for an acknowledgement was ${students.gapMs()} ms`);
    expect(await traceOf(hall(), ref)).toEqual(before);
  });

  test('a new exam gets the new images; one that nobody has is told, and another is taken', async () => {
    const { release } = hall();
    await upgrade();
    const ref = await hall().apply('later', smallSpec());
    try {
      const words = [missing, "of the operator's configuration"];
      await expectTold(hall(), ref, 'QueueReady', 'image_pull_failed', words);
    } finally {
      await release.upgrade([`redisImage=${release.images.redis}`]);
    }
    await hall().when(ref, 'Ready');
    const images = (await hall().pods(ref)).map(({ spec }) => spec?.containers?.[0]?.image);
    expect(new Set(images)).toEqual(new Set([next, release.images.redis]));
    await hall().abandon(ref);
  });
}
