import { between, type Random, seededRandom } from '#cli/random.ts';

/** Kinds of processes that a history kills. `run` is the program itself, and is started again at once. */
export const victims = ['gateway', 'redis', 'exporter', 'run'] as const;
export type Victim = (typeof victims)[number];

/** The phases of the session in which a history acts, in their order. */
export const scenes = ['Provisioning', 'Active', 'Draining', 'Exporting', 'Completed'] as const;
export type Scene = (typeof scenes)[number];

/** Which processes there are to kill in which phase. */
export const cast = {
  Provisioning: ['redis', 'gateway', 'run'],
  Active: ['redis', 'gateway', 'run'],
  Draining: ['redis', 'gateway', 'run'],
  Exporting: ['exporter', 'redis', 'gateway', 'run'],
  Completed: ['redis', 'gateway', 'run'],
} as const satisfies Record<Scene, readonly Victim[]>;

/** SIGKILL for the `index`th (modulo their number) of the processes of its kind that live at that moment. */
export interface Kill {
  readonly kind: 'kill';
  readonly victim: Victim;
  readonly index: number;
  /** It hangs (SIGSTOP) so long before, so that it dies with requests that it got and did not answer. */
  readonly hangsMs: number;
  /** Only of `run`: whether it is started again with `-f`, or with what is in its folder. */
  readonly withFile: boolean;
}

/** A process that hangs (SIGSTOP) and comes back (SIGCONT), while the history goes on. */
export interface Freeze {
  readonly kind: 'freeze';
  readonly victim: Victim;
  readonly index: number;
  readonly ms: number;
}

/** A process is asked to end (SIGTERM), and does so in order. `run` is started again then. */
export interface Stop {
  readonly kind: 'stop';
  readonly victim: Victim;
  readonly index: number;
}

/** What the network does to all students' connections. */
export type Trouble =
  | { readonly kind: 'cut' }
  /** That many bytes pass to the students, then all is cut. */
  | { readonly kind: 'cutAfter'; readonly bytes: number }
  /** Replies are lost, until that many bytes of them are, then all is cut. */
  | { readonly kind: 'swallow'; readonly bytes: number }
  | { readonly kind: 'pause'; readonly ms: number }
  | { readonly kind: 'refuse'; readonly ms: number };

/** Ends the exam: by the command or by editing the file, while `run` is there or while it was just killed. */
export interface Finalize {
  readonly kind: 'finalize';
  readonly by: 'command' | 'edit';
  readonly whileDown: boolean;
}

/** One act: `afterMs` after the phase is there, and after the act before it. */
export type Act = { readonly scene: Scene; readonly afterMs: number } & (Kill | Freeze | Stop | Trouble | Finalize);

export interface Schedule {
  readonly seed: number;
  readonly students: number;
  readonly gateways: number;
  readonly shards: number;
  readonly acts: readonly Act[];
}

/** Longest wait before an act of a phase, in ms. Export attempts of a small exam are over within a second or two. */
const longestWaitMs = {
  Provisioning: 900,
  Active: 1_500,
  Draining: 400,
  Exporting: 700,
  Completed: 500,
} as const satisfies Record<Scene, number>;

/** A gateway gives up a Redis that does not answer after 5 s, and says the same again: long histories go beyond that. */
const longestFreezeMs = { short: 1_000, long: 7_000 } as const;

/**
 * The schedule of one history. Everything in it follows from the seed.
 *
 * - `short`: 14 kills; every kind of process and every phase is among them.
 * - `long`: 22 kills; every kind of process in every phase that has it.
 */
export function makeSchedule(seed: number, size: 'short' | 'long'): Schedule {
  const random = seededRandom(seed);
  const acts = scenes.flatMap((scene) => actsOf(random, scene, size, victimsOf(random, scene, size)));
  return {
    seed,
    students: between(random, 12, 20),
    gateways: between(random, 1, 3),
    shards: between(random, 1, 3),
    acts,
  };
}

/** Kills in one history, also those by `whileDown`. */
export function countKills({ acts }: Schedule): number {
  return acts.filter((act) => act.kind === 'kill' || (act.kind === 'finalize' && act.whileDown)).length;
}

/** Who is killed in a phase, in order. */
function victimsOf(random: Random, scene: Scene, size: 'short' | 'long'): Victim[] {
  const all: readonly Victim[] = cast[scene];
  const more = (count: number) => Array.from({ length: count }, () => pick(random, all));
  if (size === 'long') return inTurn(scene, shuffled(random, [...all, ...more(scene === 'Active' ? 6 : 0)]));
  const short: Record<Scene, () => Victim[]> = {
    Provisioning: () => ['run', pick(random, ['redis', 'gateway'])],
    Active: () => [...all, ...more(2)],
    Draining: () => [pick(random, ['redis', 'gateway']), 'run'],
    Exporting: () => ['exporter', 'exporter', pick(random, ['run', 'redis', 'gateway'])],
    Completed: () => more(2),
  };
  return inTurn(scene, shuffled(random, short[scene]()));
}

/**
 * An export of little takes no longer than some acts: `run` is the last to be killed before it, so that it cannot begin
 * behind the history's back, and an exporter is the first to be killed within it.
 */
function inTurn(scene: Scene, killed: Victim[]): Victim[] {
  if (scene === 'Draining') return [...killed.filter((victim) => victim !== 'run'), 'run'];
  if (scene !== 'Exporting') return killed;
  const [first] = killed.splice(killed.indexOf('exporter'), 1);
  return [first!, ...killed];
}

function actsOf(random: Random, scene: Scene, size: 'short' | 'long', killed: readonly Victim[]): Act[] {
  const at = () => ({ scene, afterMs: between(random, 0, longestWaitMs[scene]) });
  const index = () => between(random, 0, 99);
  const acts: Act[] = [];
  for (const victim of killed) {
    if (troubles[scene].length > 0 && random() < 0.5) acts.push({ ...at(), ...trouble(random, scene) });
    if (random() < 0.2) {
      const ms = between(random, 50, longestFreezeMs[size]);
      acts.push({ ...at(), kind: 'freeze', victim: pick(random, cast[scene]), index: index(), ms });
    }
    if (random() < 0.1) acts.push({ ...at(), kind: 'stop', victim: pick(random, cast[scene]), index: index() });
    const hangsMs = random() < 0.5 ? between(random, 10, 100) : 0;
    acts.push({ ...at(), kind: 'kill', victim, index: index(), hangsMs, withFile: random() < 0.5 });
  }
  if (scene !== 'Active') return acts;
  return [...acts, { ...at(), kind: 'finalize', by: pick(random, ['command', 'edit']), whileDown: random() < 0.3 }];
}

/** Of the network, where there is traffic; while the session drains only what takes no time. */
const troubles = {
  Provisioning: [],
  Active: ['cut', 'cutAfter', 'swallow', 'pause', 'refuse'],
  Draining: ['cut', 'cutAfter', 'swallow'],
  Exporting: [],
  Completed: [],
} as const satisfies Record<Scene, readonly Trouble['kind'][]>;

function trouble(random: Random, scene: Scene): Trouble {
  const kind = pick<Trouble['kind']>(random, troubles[scene]);
  if (kind === 'cutAfter' || kind === 'swallow') return { kind, bytes: between(random, 1, 2_000) };
  if (kind === 'pause' || kind === 'refuse') return { kind, ms: between(random, 50, 800) };
  return { kind };
}

function pick<T>(random: Random, from: readonly T[]): T {
  return from[between(random, 0, from.length - 1)]!;
}

function shuffled<T>(random: Random, items: T[]): T[] {
  for (let last = items.length - 1; last > 0; last--) {
    const other = between(random, 0, last);
    [items[last], items[other]] = [items[other]!, items[last]!];
  }
  return items;
}
