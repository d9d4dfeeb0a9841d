import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LocalStatus } from '#operator/local/statusfile.ts';
import { problem } from '#queue/problem.ts';
import { complaints } from './statusfile.ts';

/** A `untradex run --json` of our own, and the status that it last printed. */
export interface RunProcess {
  readonly status: LocalStatus | undefined;
  /** Settles when the process has ended; the exit code, or null when a signal ended it. */
  readonly ended: Promise<number | null>;
  /**
   * Waits until the status satisfies `test`.
   * @throws Problem `run_ended`, `run_failed` (phase Failed), `timeout`; the signal's reason when aborted
   */
  until(test: (status: LocalStatus) => boolean, wait: UntilOptions): Promise<LocalStatus>;
  /** Calls back at each change; returns what ends that. */
  onStatus(listener: (status: LocalStatus) => void): () => void;
  /** Asks it to stop, and kills it when it has not within 20 s. Resolves when it is gone. */
  stop(): Promise<void>;
}

export interface UntilOptions {
  /** What is waited for, for the message. */
  readonly what: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export interface RunProcessOptions {
  /** The arguments to Node up to and with the CLI's own file. */
  readonly cli: readonly string[];
  /** What follows `run`. `--json` is added. */
  readonly args: readonly string[];
}

const stopWithinMs = 20_000;
const stderrKept = 8_192;

/**
 * Starts `untradex run --json` as a child. It holds an IPC channel to this process, so that it stops by itself when
 * this process is killed: nothing is left behind.
 */
export function startRunProcess({ cli, args }: RunProcessOptions): RunProcess {
  const child = spawn(process.execPath, [...cli, 'run', '--json', ...args], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  child.channel?.unref();
  let status: LocalStatus | undefined;
  let stderr = '';
  const listeners = new Set<(status: LocalStatus) => void>();
  createInterface({ input: child.stdout! }).on('line', (text) => {
    status = JSON.parse(text) as LocalStatus;
    for (const listener of listeners) listener(status);
  });
  child.stderr!.on('data', (bytes: Buffer) => {
    stderr = (stderr + bytes.toString()).slice(-stderrKept);
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return {
    get status() {
      return status;
    },
    ended,
    onStatus(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    until: (test, wait) =>
      waitFor(
        child,
        () => status,
        () => stderr,
        test,
        wait,
      ),
    stop: () => stopChild(child, ended),
  };
}

async function waitFor(
  child: ChildProcess,
  current: () => LocalStatus | undefined,
  stderr: () => string,
  test: (status: LocalStatus) => boolean,
  { what, timeoutMs, signal }: UntilOptions,
): Promise<LocalStatus> {
  const until = performance.now() + timeoutMs;
  while (true) {
    signal.throwIfAborted();
    const status = current();
    if (status !== undefined && test(status)) return status;
    if (status?.phase === 'Failed') throw failed(status);
    if (child.exitCode !== null || child.signalCode !== null) throw endedTooSoon(child, what, stderr());
    if (performance.now() > until) throw tooSlow(what, timeoutMs, status);
    await sleep(50, undefined, { signal });
  }
}

function failed(status: LocalStatus): Error {
  return problem(
    'run_failed',
    `the session failed: ${complaints(status).join('; ')}`,
    `see the logs in ${status.dataDir}`,
  );
}

function endedTooSoon(child: ChildProcess, what: string, stderr: string): Error {
  const how = child.signalCode ?? `exit code ${child.exitCode}`;
  return problem(
    'run_ended',
    `run ended (${how}) while waiting for ${what}\n${stderr.trim()}`.trim(),
    'mend what it says',
  );
}

function tooSlow(what: string, timeoutMs: number, status: LocalStatus | undefined): Error {
  const message = `${what} took longer than ${timeoutMs / 1000} s; the session is ${status?.phase ?? 'not up'}`;
  return problem('timeout', message, `see the logs in ${status?.dataDir ?? 'the data folder'}`);
}

async function stopChild(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), stopWithinMs);
  await ended.catch(() => {}); // It never started: there is nothing to stop, and `until` has told it.
  clearTimeout(timer);
}
