import type { ChildProcess } from 'node:child_process';
import { open } from 'node:fs/promises';
import type { Fault } from '../platform.ts';
import type { ChildrenFile } from './orphans.ts';

export interface SuperviseOptions {
  /** For people and the log: `redis 0`, `gateway`. */
  readonly what: string;
  /** Starts the process, after everything that has to be there for it. */
  readonly start: () => Promise<ChildProcess>;
  readonly logFile: string;
  readonly children: ChildrenFile;
  /** Called after each change of state. */
  readonly changed: () => void;
}

export interface Supervised {
  /** Null while it does not run. */
  readonly pid: number | null;
  /** Set when it keeps ending right after its start. */
  readonly fault: Fault | null;
  /** Ends it for good: SIGTERM, and SIGKILL after `graceMs`. Resolves when it is gone. */
  stop(graceMs: number): Promise<void>;
  /** Starts it anew, at once, with what `start` now says. */
  restart(graceMs: number): Promise<void>;
}

/** Wait before the first new start; doubled for each further one, up to the most. */
const backoffMs = 50;
const backoffMostMs = 5_000;
/** One that ran that long has started well: the count begins anew. */
const healthyMs = 3_000;
/** That many starts in a row without having run well are told as a fault. It is started again all the same. */
const faultAfter = 5;
/** Grace of one that was just being started when it was stopped. */
const lateStopMs = 2_000;

/**
 * Keeps one process running until it is stopped:
 *
 *     starting ─▶ running ─▶ ended ─(backoff)─▶ starting
 *         any of them ─stop─▶ stopped
 */
export function supervise(options: SuperviseOptions): Supervised {
  const { what, start, logFile, children, changed } = options;
  let child: ChildProcess | null = null;
  let fault: Fault | null = null;
  let bad = 0;
  let stopped = false;
  let wake = () => {};
  const life = live();

  async function live(): Promise<void> {
    while (!stopped) {
      const begun = Date.now();
      const ended = await runOnce();
      bad = Date.now() - begun >= healthyMs ? 0 : bad + 1;
      fault = bad >= faultAfter ? await faultAfterEnds(ended) : null;
      if (stopped) break;
      changed();
      await pause(bad === 0 ? backoffMs : Math.min(backoffMs * 2 ** Math.min(bad - 1, 20), backoffMostMs));
    }
  }

  /** From its start to its end; says how it ended. */
  async function runOnce(): Promise<string> {
    let started: ChildProcess;
    try {
      started = await start();
    } catch (error) {
      return (error as Error).message;
    }
    child = started;
    const ended = endOf(started);
    if (started.pid !== undefined) await children.add(started.pid, what).catch(unrecorded);
    if (stopped) void end(lateStopMs);
    changed();
    const how = await ended;
    child = null;
    if (started.pid !== undefined) await children.remove(started.pid).catch(unrecorded);
    return how;
  }

  async function faultAfterEnds(how: string): Promise<Fault> {
    const last = await lastLine(logFile);
    return {
      code: 'process_keeps_ending',
      message: `${what} ended ${bad} times right after its start (${how})${last === '' ? '' : `; its last words: ${last}`}`,
      remedy: `look at ${logFile}, and mend what it says; it is tried again all the time`,
    };
  }

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async function end(graceMs: number): Promise<void> {
    const running = child;
    if (running === null) return;
    const gone = endOf(running);
    running.kill('SIGTERM');
    const timer = setTimeout(() => running.kill('SIGKILL'), graceMs);
    await gone;
    clearTimeout(timer);
  }

  return {
    get pid() {
      return child?.pid ?? null;
    },
    get fault() {
      return fault;
    },
    async stop(graceMs) {
      stopped = true;
      wake();
      await end(graceMs);
      await life;
    },
    async restart(graceMs) {
      await end(graceMs);
      bad = 0;
      wake();
    },
  };
}

/**
 * The record cannot be written (a full disk): that must not end what it is about. A later run finds the process by its
 * command line (orphans.ts), and knows one that is gone by its start.
 */
function unrecorded(): void {}

/** How a process ended, in words; also when it could not be started at all. */
function endOf(child: ChildProcess): Promise<string> {
  const { exitCode, signalCode } = child;
  if (exitCode !== null || signalCode !== null) return Promise.resolve(exitWords(exitCode, signalCode));
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve(exitWords(code, signal)));
    // Without a pid it never started and there will be no exit; with one, an exit follows or the kill failed.
    child.on('error', (error) => {
      if (child.pid === undefined) resolve(error.message);
    });
  });
}

export function exitWords(code: number | null, signal: NodeJS.Signals | null): string {
  return signal === null ? `exit code ${code}` : `killed by ${signal}`;
}

/** The last line of a log that says something, cut short. */
async function lastLine(path: string): Promise<string> {
  try {
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      const { buffer, bytesRead } = await file.read(Buffer.alloc(2_048), 0, 2_048, Math.max(0, size - 2_048));
      const lines = buffer.toString('utf8', 0, bytesRead).split('\n');
      return (lines.findLast((line) => line.trim() !== '') ?? '').slice(0, 300);
    } finally {
      await file.close();
    }
  } catch {
    return '';
  }
}
