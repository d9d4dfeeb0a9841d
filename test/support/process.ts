import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { onScopeEnd } from './cleanup.ts';
import { until } from './until.ts';

export interface ProgramOptions {
  /** The program and its arguments: `[process.execPath, 'cli/main.ts', 'demo']`. */
  readonly argv: readonly string[];
  readonly cwd?: string;
  /** Added to the environment of the tests. */
  readonly env?: Readonly<Record<string, string>>;
  /** Gives the child an IPC channel, as a parent that it must not survive. Its messages are in `messages`. */
  readonly ipc?: boolean;
  /** Makes the child the leader of a process group of its own, for `kill(-pid)`. */
  readonly detached?: boolean;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A program that a test runs. It is killed (SIGKILL) at the end of the test when it still lives then. */
export interface Program {
  readonly pid: number;
  readonly child: ChildProcess;
  /** What stdout and stderr brought so far, the last 1 MiB of each. */
  readonly stdout: string;
  readonly stderr: string;
  /** Complete lines of stdout that are JSON objects, parsed. */
  readonly lines: readonly Record<string, unknown>[];
  readonly messages: readonly unknown[];
  /** Set once it has ended and its output is complete. */
  readonly exit: Exit | undefined;
  /** Sends a signal, SIGKILL when none is named, and does not wait. */
  kill(signal?: NodeJS.Signals): void;
  /** Waits for the end. Rejects, with the tail of stderr, after `timeoutMs` (10,000). */
  ended(timeoutMs?: number): Promise<Exit>;
  /** Waits for a JSON line that `test` likes. Rejects when the program ends before. */
  line<T extends Record<string, unknown>>(test: (line: T) => boolean, what: string, timeoutMs?: number): Promise<T>;
}

const keptCharacters = 1_048_576;

export function startProgram({ argv, cwd, env, ipc = false, detached = false }: ProgramOptions): Program {
  const [command, ...args] = argv;
  if (command === undefined) throw new Error('argv is empty');
  const child = spawn(command, args, {
    ...(cwd === undefined ? {} : { cwd }),
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe', ...(ipc ? (['ipc'] as const) : [])],
    detached,
  });
  const seen = collect(child);
  onScopeEnd(async () => {
    if (child.pid === undefined || seen.exit !== undefined) return;
    child.kill('SIGKILL');
    await until(() => seen.exit, { what: `the end of ${argv.join(' ')} after SIGKILL` });
  });
  const tail = () => `\nstderr: ${seen.stderr.slice(-2_000)}`;
  const ended = async (timeoutMs = 10_000) => {
    await until(() => seen.exit, { what: `the end of ${argv.join(' ')}`, timeoutMs }).catch((error: Error) => {
      throw new Error(error.message + tail());
    });
    if (seen.failure !== undefined) throw seen.failure;
    return seen.exit!;
  };
  return Object.assign(seen, {
    pid: child.pid ?? -1,
    child,
    kill: (signal: NodeJS.Signals = 'SIGKILL') => void child.kill(signal),
    ended,
    line: <T extends Record<string, unknown>>(test: (line: T) => boolean, what: string, timeoutMs = 10_000) =>
      findLine<T>(seen, test, what, timeoutMs).catch((error: Error) => {
        throw new Error(error.message + tail(), { cause: error });
      }),
  });
}

interface Seen {
  stdout: string;
  stderr: string;
  lines: Record<string, unknown>[];
  messages: unknown[];
  exit: Exit | undefined;
  failure: Error | undefined;
}

function collect(child: ChildProcess): Seen {
  const seen: Seen = { stdout: '', stderr: '', lines: [], messages: [], exit: undefined, failure: undefined };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    seen.stdout = (seen.stdout + text).slice(-keptCharacters);
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    seen.stderr = (seen.stderr + text).slice(-keptCharacters);
  });
  if (child.stdout) {
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line.startsWith('{') && line.endsWith('}')) seen.lines.push(JSON.parse(line) as Record<string, unknown>);
    });
  }
  child.on('message', (message) => seen.messages.push(message));
  const failed = (error: Error) => {
    seen.failure = error;
    seen.exit ??= { code: null, signal: null };
  };
  child.on('error', failed);
  void wholeEnd(child).then((exit) => {
    seen.exit ??= exit;
  }, failed);
  return seen;
}

/** The exit, once its output is complete as well. (Node emits no `close` after `child.disconnect()`.) */
async function wholeEnd(child: ChildProcess): Promise<Exit> {
  const outputs = [child.stdout, child.stderr].filter((output) => output !== null);
  const closed = outputs.map((output) => once(output, 'close'));
  const [code, signal] = (await once(child, 'exit')) as [Exit['code'], Exit['signal']];
  await Promise.all(closed);
  return { code, signal };
}

async function findLine<T extends Record<string, unknown>>(
  seen: Seen,
  test: (line: T) => boolean,
  what: string,
  timeoutMs: number,
): Promise<T> {
  const find = () => (seen.lines as T[]).find(test);
  const line = await until(() => find() ?? seen.exit, { what, timeoutMs });
  if (line !== seen.exit) return line as T;
  const late = find();
  if (late !== undefined) return late;
  throw new Error(`the program ended (${JSON.stringify(seen.exit)}) before ${what}`);
}
