import { expect } from 'vitest';
import { isKept } from '#cli/compare.ts';
import { type Component, objectNames, type SessionRef } from '#operator/kubernetes/names.ts';
import type { SessionStatus } from '#operator/status.ts';
import { type Hall, smallSpec } from './hall.ts';
import { type Class, seatClass } from './students.ts';

/** An exam that is open, with students who answer. */
export interface Exam {
  readonly ref: SessionRef;
  readonly spec: ReturnType<typeof smallSpec>;
  readonly students: Class;
  /** The status that it had when students began. */
  readonly early: SessionStatus;
}

export async function beginExam(hall: Hall, name: string, spec = smallSpec()): Promise<Exam> {
  const startedAt = performance.now();
  const ref = await hall.apply(name, spec);
  await hall.when(ref, 'Ready');
  console.log(`${name}: Ready after ${seconds(startedAt)} s`);
  const students = await seatClass(hall, ref, spec.students);
  await hall.whenStatus(ref, 'Active', ({ phase }) => phase === 'Active');
  await students.goOn(spec.students);
  return { ref, spec, students, early: (await hall.status(ref))! };
}

/** Who runs: nothing of this changes while nothing is restarted. */
export async function traceOf(hall: Hall, ref: SessionRef, component?: Component): Promise<string[]> {
  const pods = await hall.pods(ref, component);
  return pods
    .map(({ metadata, status }) => {
      const restarts = status?.containerStatuses?.map(({ restartCount }) => restartCount).join();
      return `${metadata.name} ${metadata.uid} ${restarts}`;
    })
    .sort();
}

/** Finalized, unless it was, and sealed. */
export async function sealExam(hall: Hall, { ref, students }: Exam): Promise<void> {
  await students.settle();
  await hall.edit(ref, { spec: { phase: 'Finalizing' } });
  await hall.when(ref, 'Sealed');
}

/** Every acknowledged answer is in the table once, in order, published by the first attempt and no other. */
export async function proveExam(hall: Hall, { ref, students }: Exam, timeoutMs = 120_000): Promise<void> {
  const startedAt = performance.now();
  await hall.when(ref, 'Verified', 'True', timeoutMs);
  const found = await hall.compare(ref, students.ledger);
  console.log(`${ref.name}: Verified after ${seconds(startedAt)} s, ${students.acknowledged} acknowledged answers`);
  expect(found).toMatchObject({ acknowledged: students.acknowledged, missing: 0, duplicated: 0 });
  expect(isKept(found), found.examples.join('\n')).toBe(true);
  const names = objectNames(ref);
  expect(await hall.named(ref, 'Job')).toEqual([names.loadJob(1), names.publishJob(1)]);
}

export function seconds(since: number): string {
  return ((performance.now() - since) / 1_000).toFixed(1);
}
