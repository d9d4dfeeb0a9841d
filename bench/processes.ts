import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { pinnedTo } from './cpu.ts';

/** A process of the benchmark. Everything that was started is killed by {@link stopAll}, also after an error. */
export interface BenchProcess {
  readonly pid: number;
  /** The next JSON line of its standard output; rejects when it ends first. Lines that are not JSON are passed over. */
  nextLine(): Promise<Record<string, unknown>>;
  /** Resolves with its exit code (null after a signal). */
  readonly exited: Promise<number | null>;
  stop(): Promise<void>;
}

const running = new Set<ChildProcess>();

/**
 * Starts a program, on one core where the system can pin.
 * @param core null: wherever the kernel likes
 */
export function start(core: number | null, command: readonly string[]): BenchProcess {
  const [program, ...args] = [...(core === null ? [] : pinnedTo(core)), ...command];
  const child = spawn(program!, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  running.add(child);
  const exited = once(child, 'exit').then(([code]) => {
    running.delete(child);
    return code as number | null;
  });
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  return {
    pid: child.pid!,
    async nextLine() {
      for (let line = await lines.next(); !line.done; line = await lines.next()) {
        if (line.value.startsWith('{')) return JSON.parse(line.value) as Record<string, unknown>;
      }
      throw new Error(`${command.slice(0, 3).join(' ')} ended (exit code ${await exited}) before it answered`);
    },
    exited,
    async stop() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

export function stopAll(): void {
  for (const child of running) child.kill('SIGKILL');
}
