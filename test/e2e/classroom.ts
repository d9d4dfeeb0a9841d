import { setTimeout as sleep } from 'node:timers/promises';
import { between, pause, type Random, seededRandom } from '#cli/random.ts';
import { playDevice } from './device.ts';
import { playMachine } from './machine.ts';
import type { Recorder } from './recorder.ts';

/** How one device of a student behaves. A student may have two. */
export interface DevicePlan {
  readonly student: string;
  /** The outbox: in memory, in a file; or a machine that posts by HTTP and keeps its own. */
  readonly kind: 'memory' | 'file' | 'http';
  /** Mean pause between two answers. */
  readonly pauseMs: number;
  /** Before these answers the client goes away, and another one comes back on the same outbox. */
  readonly leavesBefore: readonly number[];
  readonly awayMs: number;
  /** Finishes after so many answers; null: writes until it is refused. */
  readonly finishAfter: number | null;
}

/** What a device needs to play. */
export interface DeviceWorld {
  readonly plan: DevicePlan;
  readonly random: Random;
  /** `http://host:port/exam`, through the cutting proxy. */
  readonly url: string;
  token(student: string): Promise<string>;
  /** For outboxes in files. */
  readonly outboxFile: string;
  readonly recorder: Recorder;
  /** The end of the history: everybody goes. */
  readonly signal: AbortSignal;
}

/** After a refusal for good a device tries so many more answers: none of them may be acknowledged. */
export const stubborn = 2;

const names = ['anna', "o'brien", 'größe-é', 'student 7', '学生', 'Łukasz', 'ß', '🙂', 'ada"l', 'a,b;c'];

/** Everybody's devices. Pure: the same for the same seed. */
export function planClassroom(seed: number, students: number): DevicePlan[] {
  const random = seededRandom(seed ^ 0x5eed);
  return Array.from({ length: students }, (_, i) => {
    const student = `${names[i % names.length]}-${i}`;
    const kinds = (['memory', 'file', 'http'] as const).slice(0, random() < 0.25 ? 3 : 2);
    const devices = random() < 0.4 ? 2 : 1;
    return Array.from({ length: devices }, () =>
      planDevice(random, student, kinds[between(random, 0, kinds.length - 1)]!),
    );
  }).flat();
}

function planDevice(random: Random, student: string, kind: DevicePlan['kind']): DevicePlan {
  const leaves = Array.from({ length: between(random, 0, 3) }, () => between(random, 2, 40));
  return {
    student,
    kind,
    pauseMs: between(random, 20, 250),
    leavesBefore: [...new Set(leaves)],
    awayMs: between(random, 10, 1_500),
    // An empty paper can be finished too.
    finishAfter: random() < 0.25 ? between(random, 0, 30) : null,
  };
}

export interface Classroom {
  /** Everybody goes. Rejects with the first device that broke down by itself. */
  leave(): Promise<void>;
}

export interface ClassroomOptions extends Pick<DeviceWorld, 'url' | 'token' | 'recorder'> {
  readonly seed: number;
  readonly students: number;
  readonly folder: string;
}

/** Everybody sits down and plays, until `leave`. */
export function openClassroom({ seed, students, folder, ...world }: ClassroomOptions): Classroom {
  const end = new AbortController();
  const playing = planClassroom(seed, students).map((plan, i) => {
    const random = seededRandom(seed * 1_009 + i);
    const own = { ...world, plan, random, outboxFile: `${folder}/${i}.outbox`, signal: end.signal };
    return plan.kind === 'http' ? playMachine(own) : playDevice(own);
  });
  const all = Promise.all(playing);
  all.catch(() => {}); // Told by `leave`.
  return {
    async leave() {
      end.abort();
      await Promise.allSettled(playing);
      await all;
    },
  };
}

/** A random pause of the given mean; shorter when the history ends. Tells whether to go on. */
export async function rest({ random, signal }: DeviceWorld, meanMs: number): Promise<boolean> {
  await sleep(pause(random, meanMs), undefined, { signal }).catch(() => {}); // Looked at below.
  return !signal.aborted;
}

const values = ['A', 3.25, 1e21, -0, true, null, '', 'λ 😀 " \\ \n </script>', ['x', { y: [] }]];

/** Answer `n` of a device, 20 to 1,000 bytes of JSON; never the same twice within a writer. */
export function makeEvent(random: Random, n: number): object {
  const long = random() < 0.1 ? { essay: 'Satz für Satz. '.repeat(between(random, 1, 60)) } : {};
  return { n, value: values[between(random, 0, values.length - 1)], ...long };
}
