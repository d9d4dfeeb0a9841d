import { execFile } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { finalizers, objectNames, type SessionRef } from '#operator/kubernetes/names.ts';
import type { SessionStatus } from '#operator/status.ts';
import { until } from '#test/support/until.ts';
import { type Exam, seconds } from './exam.ts';
import { type Hall, kinds } from './hall.ts';

/** Complaints: a repair path that flushes, a volume that is bound to nothing, data that is gone without a word. */
export function lostVolumes(hall: () => Hall, exam: () => Exam): void {
  test('a shard whose volume was emptied is told, acknowledges nothing, and is filled again by its students', async () => {
    const { ref, students } = exam();
    await students.goOn(50);
    empty(await hall().folderOf(objectNames(ref).redisClaim(0)));
    await hall().kill(objectNames(ref).redisPod(0));
    const incarnation = await toldLost(hall(), ref, 0);

    const frozen = students.acknowledgedOf(0);
    await students.goOn(30);
    expect(students.acknowledgedOf(0)).toBe(frozen);
    expect(students.told).not.toContain('server_lost_data');
    await refill(hall(), exam(), { shard: 0, incarnation });
  });

  test('a volume that is gone is told with commands to give it up, which work as they stand', async () => {
    const { ref } = exam();
    const claim = objectNames(ref).redisClaim(1);
    const volume = await volumeOf(hall(), claim);
    await hall().kubectl('delete', 'pv', volume, '--wait=false');
    await hall().kubectl('patch', 'pv', volume, '--type=merge', '-p', '{"metadata":{"finalizers":null}}');
    const gone = `the volume of the claim ${claim} is gone`;
    const message = await queueMessage(hall(), ref, new RegExp(gone));
    const commands = commandsIn(message);
    expect(commands).toHaveLength(3);
    for (const command of commands) await shell(hall(), command);
    await hall().kill(objectNames(ref).redisPod(1));

    const incarnation = await toldLost(hall(), ref, 1);
    await refill(hall(), exam(), { shard: 1, incarnation });
    expect(await volumeOf(hall(), claim)).not.toBe(volume);
    const made = await hall().api.get({ ...kinds.PersistentVolumeClaim, namespace: ref.namespace, name: claim });
    expect(made!.metadata.finalizers).toContain(finalizers.answers);
  });
}

/** As a node's disk is empty that was exchanged. */
function empty(folder: string): void {
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true });
}

/** What QueueReady, which is False, says when it says this. */
async function queueMessage(hall: Hall, ref: SessionRef, told: RegExp): Promise<string> {
  const messageOf = (status: SessionStatus | null) =>
    status?.conditions.find(({ type, status }) => type === 'QueueReady' && status === 'False')?.message ?? '';
  await hall.whenStatus(ref, `QueueReady to say ${told.source}`, (now) => told.test(messageOf(now)), 90_000);
  const message = messageOf(await hall.status(ref));
  console.log(`${ref.name}: ${message}`);
  return message;
}

/** The incarnation that the condition says to add to spec.redis.refill. */
async function toldLost(hall: Hall, ref: SessionRef, shard: number): Promise<string> {
  const told = new RegExp(`add \\{shard: ${shard}, incarnation: ([0-9a-f-]+)\\} to spec.redis.refill`);
  return told.exec(await queueMessage(hall, ref, told))![1]!;
}

async function refill(
  hall: Hall,
  { ref, students }: Exam,
  more: { shard: number; incarnation: string },
): Promise<void> {
  const startedAt = performance.now();
  const { redis } = (await hall.session(ref))!.spec as { redis: { refill?: readonly object[] } };
  const told = students.told.length;
  await hall.edit(ref, { spec: { redis: { refill: [...(redis.refill ?? []), more] } } });
  const isRefilled = () => students.told.slice(told).includes('refilling');
  await until(isRefilled, { what: 'a client that fills it again', timeoutMs: 60_000, everyMs: 100 });
  await hall.when(ref, 'QueueReady');
  const before = students.acknowledgedOf(more.shard);
  const goesOn = () => students.acknowledgedOf(more.shard) > before + 20;
  await until(goesOn, { what: 'answers for the shard', timeoutMs: 60_000, everyMs: 100 });
  console.log(`${ref.name}: shard ${more.shard} is filled again and goes on after ${seconds(startedAt)} s`);
}

async function volumeOf({ api, namespace }: Hall, claim: string): Promise<string> {
  const found = await api.get({ ...kinds.PersistentVolumeClaim, namespace, name: claim });
  return (found!.spec as { volumeName: string }).volumeName;
}

function commandsIn(message: string): string[] {
  const commands = message.matchAll(/kubectl (?:annotate|patch|delete) .*?(?=, (?:then )?kubectl| and its pod)/g);
  return [...commands].map(([command]) => command);
}

async function shell({ cluster }: Hall, command: string): Promise<void> {
  const { kubectl } = cluster.programs;
  const env = { ...process.env, KUBECONFIG: cluster.kubeconfig, PATH: `${dirname(kubectl)}:${process.env.PATH}` };
  const waitless = command.includes(' delete ') ? `${command} --wait=false` : command;
  await promisify(execFile)('sh', ['-c', waitless], { env, timeout: 60_000 });
}
