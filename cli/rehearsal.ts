import { resolve } from 'node:path';
import { type Kill, planKills, runChaos } from './chaos.ts';
import { countingLedger, openLedger } from './ledger.ts';
import { count, line, note, paint, section, time } from './output.ts';
import { showPlay } from './playprogress.ts';
import type { RehearsalTarget } from './rehearsaltarget.ts';
import { makeMark, type Played, playStudents, studentIds } from './students.ts';

export interface RehearsalOptions {
  readonly students: number;
  readonly durationMs: number;
  readonly events: number;
  readonly kills: number;
  readonly seed: number;
  /** A file, or `-` for stdout. */
  readonly ledger: string | undefined;
  readonly signal: AbortSignal;
}

/** What the students of a rehearsal saw, as `--json` prints it. */
export interface RehearsalResult extends Played {
  readonly events: number;
  readonly kills: number;
  readonly killed: readonly Kill[];
  readonly seconds: number;
  readonly seed: number;
  readonly ledger: string | null;
}

/** How long after the late tail everybody must have a receipt. */
const settleMs = 120_000;
const hourMs = 3_600_000;

/**
 * Plays students who never took part before (their ids carry a mark of this run, so that a session can be rehearsed
 * again and again), and kills processes of the session meanwhile if asked to.
 */
export async function playRehearsal(target: RehearsalTarget, options: RehearsalOptions): Promise<RehearsalResult> {
  const { students, durationMs, events, seed, signal } = options;
  const started = performance.now();
  const ledger = options.ledger === undefined ? countingLedger() : openLedger(options.ledger, 'add');
  note(`${count(students)} students at ${target.url}, seed ${seed}`);
  const play = playStudents({
    students: studentIds(students, makeMark(Date.now())),
    url: target.url,
    token: (student) => target.mint.mint(student, durationMs * 2 + hourMs),
    durationMs,
    events,
    settleMs,
    seed,
    ledger,
    receiptPublicKey: target.receiptPublicKey,
    signal,
  });
  const shown = showPlay(play, { students, events });
  const chaos = runChaos({
    plan: target.pids === null ? [] : planKills(options.kills, durationMs, seed),
    seed,
    signal,
    pids: target.pids ?? noPids,
    onKill: ({ target, pid, atMs }) => shown.say(`killed ${target} ${pid} after ${time(atMs)}`),
  });
  try {
    const [played, killed] = await Promise.all([play.done, chaos]);
    return {
      ...played,
      events,
      kills: killed.length,
      killed,
      seconds: Math.round((performance.now() - started) / 100) / 10,
      seed,
      ledger: options.ledger === undefined ? null : options.ledger === '-' ? '-' : resolve(options.ledger),
    };
  } finally {
    shown.stop();
    ledger.close();
  }
}

const noPids = async () => ({ gateway: [], redis: [] });

/** True when every answer was acknowledged and every student holds a receipt. */
export function isComplete({ students, events, acknowledged, finished }: RehearsalResult): boolean {
  return finished === students && acknowledged === students * events;
}

/** Prints the result for people. */
export function showRehearsal(result: RehearsalResult): void {
  const { ackMs, ownDelayMs, students, events } = result;
  section('Students', [
    ['played', count(students)],
    ['connected at once', count(result.connectedPeak)],
    ['hold a receipt', count(result.finished)],
  ]);
  line();
  section('Answers', [
    ['sent', `${count(result.sent)} of ${count(students * events)}`],
    ['acknowledged', `${count(result.acknowledged)}, ${count(result.eventsPerSecond)} a second`],
    [
      'killed meanwhile',
      result.killed.map(({ target, atMs }) => `${target} after ${time(atMs)}`).join(', ') || 'nothing',
    ],
  ]);
  line();
  section('From answer to acknowledgement', [
    ['p50', time(ackMs.p50)],
    ['p99', time(ackMs.p99)],
    ['max', time(ackMs.max)],
    [
      'of which here',
      `p99 ${time(ownDelayMs.p99)}, max ${time(ownDelayMs.max)}: so late was the students' own process`,
    ],
  ]);
  line();
  for (const text of result.troubles) line(paint('yellow', text));
  if (result.troubleCount > result.troubles.length)
    line(`and ${count(result.troubleCount - result.troubles.length)} more`);
  line(
    isComplete(result) ? `${paint('green', 'COMPLETE')}  every answer was acknowledged` : paint('red', 'INCOMPLETE'),
  );
  if (result.ledger !== null) line(`ledger ${result.ledger}`);
}
