import { createPublicKey, type KeyObject } from 'node:crypto';
import { createHistogram, type Histogram, monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { isProblem, type Problem } from '#queue/problem.ts';
import type { Ledger } from './ledger.ts';
import { between, seededRandom } from './random.ts';
import { createStudent, type Student, type StudentEvents } from './student.ts';
import { planStudent } from './studentplan.ts';

export interface PlayOptions {
  /** The students' ids. */
  readonly students: readonly string[];
  readonly url: string;
  /** A fresh token for a student. */
  token(student: string): Promise<string>;
  /** How long the exam takes; a late tail takes a tenth more. */
  readonly durationMs: number;
  /** Answers of each student. */
  readonly events: number;
  /** How long after the late tail everybody must have everything acknowledged and a receipt. */
  readonly settleMs: number;
  readonly seed: number;
  readonly ledger: Ledger;
  /** The session's public key (PEM), with which receipts are checked. */
  readonly receiptPublicKey: string;
  /** Ends it early. */
  readonly signal: AbortSignal;
}

/** What the students' side saw. Latencies are from the moment of the answer to its acknowledgement. */
export interface Played {
  readonly students: number;
  readonly connectedPeak: number;
  readonly sent: number;
  readonly acknowledged: number;
  /** Students who hold a receipt. */
  readonly finished: number;
  readonly ackMs: { readonly p50: number; readonly p99: number; readonly max: number };
  /** Acknowledged events a second, from the first to the last acknowledgement. */
  readonly eventsPerSecond: number;
  /** How late this process's own event loop was: latencies cannot be believed below it. */
  readonly ownDelayMs: { readonly p99: number; readonly max: number };
  /** What went wrong for students for good, or alarmed their clients; at most 20 kept. */
  readonly troubles: readonly string[];
  readonly troubleCount: number;
}

/** How far it is, while it plays. */
export interface Play {
  readonly now: { readonly connected: number; readonly acknowledged: number; readonly finished: number };
  readonly done: Promise<Played>;
}

/** The delay monitor wakes up this often, and counts that as delay. */
const delayResolutionMs = 10;

/** Plays an exam with realistic students, thousands in this one process, and writes the ledger. */
export function playStudents(options: PlayOptions): Play {
  const tally = createTally(options.ledger);
  return { now: tally.now, done: play(options, tally) };
}

async function play(options: PlayOptions, tally: Tally): Promise<Played> {
  const started = performance.now();
  const receiptKey = createPublicKey(options.receiptPublicKey);
  const delay = monitorEventLoopDelay({ resolution: delayResolutionMs });
  delay.enable();
  const students = options.students.map((id, index) =>
    makeStudent(id, index, options, { started, receiptKey, told: tally.events }),
  );
  const playing = Promise.all(students.map((student) => student.play().catch(tally.trouble)));
  const limit = AbortSignal.any([options.signal, AbortSignal.timeout(options.durationMs * 1.1 + options.settleMs)]);
  await Promise.race([playing, aborted(limit)]);
  if (!options.signal.aborted) tellUnfinished(students, options.students, tally);
  tally.close();
  delay.disable();
  await leaveAll(students);
  options.ledger.flush();
  return tally.result(options.students.length, ownDelayOf(delay));
}

function ownDelayOf(delay: Histogram): Played['ownDelayMs'] {
  const late = (ns: number) => Math.max(0, ns / 1e6 - delayResolutionMs);
  return { p99: late(delay.percentile(99)), max: late(delay.max) };
}

function makeStudent(
  id: string,
  index: number,
  { students, url, token, durationMs, events, seed }: PlayOptions,
  { started, receiptKey, told }: { started: number; receiptKey: KeyObject; told: StudentEvents },
): Student {
  const random = seededRandom(seed * 1_000_003 + index);
  return createStudent({
    id,
    plan: planStudent(random, { students: students.length, durationMs, events }),
    random,
    url,
    token: () => token(id),
    receiptKey,
    elapsed: () => performance.now() - started,
    events: told,
  });
}

function tellUnfinished(students: readonly Student[], ids: readonly string[], tally: Tally): void {
  for (const [index, student] of students.entries()) {
    const trouble = student.trouble();
    if (trouble !== null) tally.trouble(new Error(`${ids[index]} has no receipt: ${trouble}`));
  }
}

/** Everybody closes the page within a second or two, not at once. */
async function leaveAll(students: readonly Student[]): Promise<void> {
  const perTurn = Math.max(50, Math.ceil(students.length / 40));
  for (let i = 0; i < students.length; i += perTurn) {
    await Promise.all(students.slice(i, i + perTurn).map((student) => student.leave()));
    await sleep(10);
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

interface Tally {
  readonly now: { connected: number; acknowledged: number; finished: number };
  readonly events: StudentEvents;
  trouble(error: unknown): void;
  /** From now on nothing counts: the exam is over. */
  close(): void;
  result(students: number, ownDelayMs: Played['ownDelayMs']): Played;
}

const troublesKept = 20;

function createTally(ledger: Ledger): Tally {
  const now = { connected: 0, acknowledged: 0, finished: 0 };
  const latency = createHistogram({ lowest: 1, highest: 3_600_000_000, figures: 3 }); // Microseconds, up to an hour.
  const troubles: string[] = [];
  let connectedPeak = 0;
  let sent = 0;
  let troubleCount = 0;
  let firstAt = 0;
  let lastAt = 0;
  let closed = false;
  const trouble = (text: string) => {
    if (closed) return;
    troubleCount++;
    if (troubles.length < troublesKept) troubles.push(text);
  };
  return {
    now,
    events: {
      connected(isConnected) {
        now.connected += isConnected ? 1 : -1;
        connectedPeak = Math.max(connectedPeak, now.connected);
      },
      sent: () => void sent++,
      acknowledged(entry, latencyMs) {
        ledger.append(entry);
        now.acknowledged++;
        lastAt = performance.now();
        firstAt ||= lastAt;
        latency.record(Math.max(1, Math.round(latencyMs * 1000)));
      },
      finished: () => void now.finished++,
      alarm: (student, problem) => trouble(`${student}: ${words(problem)}`),
    },
    trouble: (error) => trouble(words(error)),
    close() {
      closed = true;
    },
    result: (students, ownDelayMs) => ({
      students,
      connectedPeak,
      sent,
      acknowledged: now.acknowledged,
      finished: now.finished,
      ackMs: {
        p50: latency.percentile(50) / 1000,
        p99: latency.percentile(99) / 1000,
        max: now.acknowledged ? latency.max / 1000 : 0,
      },
      eventsPerSecond: now.acknowledged / Math.max((lastAt - firstAt) / 1000, 0.001),
      ownDelayMs,
      troubles,
      troubleCount,
    }),
  };
}

function words(error: Problem | unknown): string {
  if (isProblem(error)) return `${error.code}: ${error.message}`;
  return error instanceof Error ? error.message : String(error);
}

/** Ids of `count` students: `student-0001` and on, with a run's mark between when one is given. */
export function studentIds(count: number, mark?: string): string[] {
  const digits = Math.max(4, String(count).length);
  const stem = mark === undefined ? 'student' : `rehearsal-${mark}`;
  return Array.from({ length: count }, (_, i) => `${stem}-${String(i + 1).padStart(digits, '0')}`);
}

/** A short mark that tells one rehearsal's students from another's. */
export function makeMark(seed: number): string {
  const random = seededRandom(seed);
  return Array.from({ length: 5 }, () => '23456789abcdefghjkmnpqrstuvwxyz'.charAt(between(random, 0, 30))).join('');
}
