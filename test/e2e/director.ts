import { setTimeout as sleep } from 'node:timers/promises';
import type { TcpProxy } from '#test/support/proxy.ts';
import { until } from '#test/support/until.ts';
import { type Exam, send } from './exam.ts';
import {
  type Act,
  type Finalize,
  type Freeze,
  type Kill,
  type Scene,
  type Schedule,
  type Stop,
  scenes,
  type Trouble,
  type Victim,
} from './schedule.ts';

/** A kill that happened: in which phase it was planned, and which one the session showed. */
export interface Killed {
  readonly victim: Victim;
  readonly scene: Scene;
  readonly phase: string;
  readonly pid: number;
  readonly atMs: number;
}

export interface Directed {
  readonly kills: readonly Killed[];
  /** Acts that came too late: the session, or the process, was over. */
  readonly missed: readonly Act[];
}

/** For a phase, after everything that was killed before it. A machine that runs other tests as well is slow. */
const sceneWithinMs = 90_000;
const victimWithinMs = 30_000;

/** Performs a schedule, act by act, on a running exam. Rejects when the exam fails or stands still. */
export async function direct(schedule: Schedule, exam: Exam, proxy: TcpProxy): Promise<Directed> {
  const begun = performance.now();
  const kills: Killed[] = [];
  const missed: Act[] = [];
  const thaws: Promise<void>[] = [];
  const end = new AbortController();

  async function kill(victim: Victim, pid: number, scene: Scene, hangsMs = 0): Promise<void> {
    const phase = exam.status?.phase ?? 'starting';
    await exam.kill(victim, pid, hangsMs);
    kills.push({ victim, scene, phase, pid, atMs: Math.round(performance.now() - begun) });
  }

  /** Tells whether there was a process to do it to. */
  async function perform(act: Act): Promise<boolean> {
    await reach(exam, act);
    await sleep(act.afterMs);
    if (act.kind === 'kill' || act.kind === 'freeze' || act.kind === 'stop') return strike(act);
    if (act.kind === 'finalize') return finalize(act);
    await trouble(proxy, act);
    return true;
  }

  async function strike(act: Act & (Kill | Freeze | Stop)): Promise<boolean> {
    const pids = await living(exam, act.victim);
    const pid = pids[act.index % pids.length];
    if (pid === undefined) return false;
    if (act.kind === 'freeze') {
      thaws.push(freeze(pid, act.ms, end.signal));
      return true;
    }
    if (act.kind === 'stop') {
      await exam.stop(act.victim, pid);
      if (act.victim === 'run') exam.start(false);
      return true;
    }
    await kill(act.victim, pid, act.scene, act.hangsMs);
    if (act.victim === 'run') exam.start(act.withFile);
    return true;
  }

  async function finalize({ by, whileDown, scene }: Act & Finalize): Promise<boolean> {
    const [pid] = exam.alive('run');
    if (pid === undefined) return false;
    if (whileDown) await kill('run', pid, scene);
    await exam.finalize(by);
    if (whileDown) exam.start(true);
    return true;
  }

  try {
    for (const act of schedule.acts) if (!(await perform(act))) missed.push(act);
    await Promise.all(thaws);
  } finally {
    end.abort();
    await Promise.all(thaws);
  }
  return { kills, missed };
}

/** The process hangs for a while; it may be killed meanwhile. */
async function freeze(pid: number, ms: number, signal: AbortSignal): Promise<void> {
  send([pid], 'SIGSTOP');
  await sleep(ms, undefined, { signal }).catch(() => {}); // Thawed all the same.
  send([pid], 'SIGCONT');
}

/** Waits until the session is in the phase of the act, or past it. In Exporting, until an exporter is at work. */
async function reach(exam: Exam, { scene }: Act): Promise<void> {
  if (scene === 'Provisioning') return;
  const isThere = () => scenes.indexOf(phaseOf(exam)) >= scenes.indexOf(scene);
  await until(() => isOver(exam) || isThere(), { what: `the phase ${scene}`, timeoutMs: sceneWithinMs });
  if (scene !== 'Exporting') return;
  const isAtWork = () => exam.alive('exporter').length > 0;
  await until(() => isOver(exam) || phaseOf(exam) === 'Completed' || isAtWork(), {
    what: 'an exporter at work',
    timeoutMs: sceneWithinMs,
  });
}

/** The processes of a kind, as soon as there is one; none when none comes any more. */
async function living(exam: Exam, victim: Victim): Promise<number[]> {
  let pids: number[] = [];
  const look = () => {
    pids = exam.alive(victim);
    return pids.length > 0 || isOver(exam) || (victim === 'exporter' && phaseOf(exam) === 'Completed');
  };
  await until(look, { what: `a ${victim} to kill`, timeoutMs: victimWithinMs });
  return pids;
}

/** The session is over and `run` has ended by itself, as it should. */
function isOver(exam: Exam): boolean {
  const { exit, stderr } = exam.program;
  if (exit === undefined) return false;
  if (exit.code === 0) return true;
  throw new Error(`run ended with ${JSON.stringify(exit)}\n${stderr.slice(-2_000)}`);
}

function phaseOf(exam: Exam): Scene {
  const { status } = exam;
  if (status === null || status.phase === 'Pending') return 'Provisioning';
  if (status.phase !== 'Failed') return status.phase;
  const reasons = status.conditions.filter(
    (condition) => condition.status === 'False' || condition.type === 'Degraded',
  );
  throw new Error(`the session failed: ${reasons.map((condition) => condition.message).join('; ')}`);
}

async function trouble(proxy: TcpProxy, act: Trouble): Promise<void> {
  if (act.kind === 'cut') return proxy.cutAll();
  if (act.kind === 'cutAfter') return proxy.cutAfter('down', act.bytes);
  if (act.kind === 'swallow') return void proxy.swallowReplies(act.bytes);
  const [begin, end] = act.kind === 'pause' ? [proxy.pause, proxy.resume] : [proxy.refuse, proxy.allow];
  begin();
  await sleep(act.ms);
  end();
}
