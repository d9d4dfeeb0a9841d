import { setTimeout as sleep } from 'node:timers/promises';
import { type Random, seededRandom } from './random.ts';

export type Target = 'gateway' | 'redis';

/** One kill to come: when, counted from the start, and what. */
export interface PlannedKill {
  readonly atMs: number;
  readonly target: Target;
}

/** One kill that happened. */
export interface Kill extends PlannedKill {
  readonly pid: number;
}

/**
 * Plans kills evenly over the time: one in the middle of each of `kills` equal parts, moved by up to a quarter of a
 * part. Gateways and Redis take turns, so that both are killed as soon as there are two kills.
 */
export function planKills(kills: number, durationMs: number, seed: number): PlannedKill[] {
  const random = seededRandom(seed);
  const part = durationMs / Math.max(kills, 1);
  const first = random() < 0.5 ? 0 : 1;
  return Array.from({ length: kills }, (_, i) => ({
    atMs: Math.round(part * (i + 0.5 + (random() - 0.5) / 2)),
    target: (i + first) % 2 === 0 ? 'gateway' : 'redis',
  }));
}

export type Pids = Readonly<Record<Target, readonly number[]>>;

export interface ChaosOptions {
  readonly plan: readonly PlannedKill[];
  readonly seed: number;
  /** The processes that run now; read anew before each kill. */
  pids(): Pids | Promise<Pids>;
  /** Ends it early. */
  readonly signal: AbortSignal;
  onKill?(kill: Kill): void;
}

/** How long a kill waits for a process of its kind to be there, since the last one may still be restarting. */
const victimWithinMs = 15_000;

/**
 * Kills processes with SIGKILL as planned; never the same process twice.
 * @returns the kills that happened: fewer than planned only when aborted, or when no process came up again
 */
export async function runChaos({ plan, seed, pids, signal, onKill }: ChaosOptions): Promise<Kill[]> {
  const random = seededRandom(seed + 1);
  const started = performance.now();
  const done: Kill[] = [];
  const dead = new Set<number>();
  for (const { atMs, target } of plan) {
    await pauseFor(atMs - (performance.now() - started), signal);
    const alive = async () => (await pids())[target].filter((pid) => !dead.has(pid));
    const pid = await killOne(alive, dead, random, signal);
    if (signal.aborted) break;
    if (pid === undefined) continue;
    const kill = { atMs: Math.round(performance.now() - started), target, pid };
    done.push(kill);
    onKill?.(kill);
  }
  return done;
}

async function killOne(
  alive: () => Promise<number[]>,
  dead: Set<number>,
  random: Random,
  signal: AbortSignal,
): Promise<number | undefined> {
  const until = performance.now() + victimWithinMs;
  while (!signal.aborted && performance.now() < until) {
    const candidates = await alive();
    const pid = candidates[Math.floor(random() * candidates.length)];
    if (pid !== undefined) {
      dead.add(pid);
      if (killed(pid)) return pid;
    }
    await pauseFor(50, signal);
  }
  return undefined;
}

function killed(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL');
  } catch {
    return false; // It was gone before: another one is chosen.
  }
}

async function pauseFor(ms: number, signal: AbortSignal): Promise<void> {
  if (ms <= 0 || signal.aborted) return;
  await sleep(ms, undefined, { signal }).catch(() => {}); // An abort ends the wait; the callers look at the signal.
}
