import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

/** Looks at, and ends, processes that may be nobody's children any more. Linux by /proc, elsewhere by ps. */

const run = promisify(execFile);
const onLinux = process.platform === 'linux';

export interface ProcessInfo {
  readonly pid: number;
  /** Its arguments; by ps they are cut at spaces. */
  readonly args: readonly string[];
}

/**
 * A text that together with the pid names one process for ever: pids are used again, also after a reboot. Null when
 * the process is gone, or only waits to be collected.
 */
export async function startOf(pid: number): Promise<string | null> {
  try {
    if (!onLinux) return (await run('ps', ['-o', 'lstart=', '-p', String(pid)])).stdout.trim() || null;
    const [stat, boot] = await Promise.all([
      readFile(`/proc/${pid}/stat`, 'latin1'),
      readFile('/proc/sys/kernel/random/boot_id', 'latin1'),
    ]);
    // The name in parentheses may hold anything, also spaces and parentheses.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? null : `${boot.trim()}:${fields[19]}`;
  } catch {
    return null;
  }
}

/** Every process that this user may see. */
export async function listProcesses(): Promise<ProcessInfo[]> {
  if (!onLinux) {
    const { stdout } = await run('ps', ['-axww', '-o', 'pid=,command='], { maxBuffer: 16 * 1024 * 1024 });
    return stdout.split('\n').flatMap((line) => {
      const match = /^\s*(\d+)\s+(.*)$/.exec(line);
      return match === null ? [] : [{ pid: Number(match[1]), args: match[2]!.split(' ') }];
    });
  }
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  return Promise.all(
    pids.map(async (pid) => {
      const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      return { pid, args: text.split('\0').slice(0, -1) };
    }),
  );
}

/**
 * Asks a process to end, and after `graceMs` kills it. Resolves when it is gone, true; or false when it is still there
 * `graceMs` after that. Touches nothing when `start` is no longer its start: then the pid is somebody else's.
 */
export async function endProcess(pid: number, start: string, graceMs: number): Promise<boolean> {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    if ((await startOf(pid)) !== start) return true;
    try {
      process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ESRCH') return true;
      throw error;
    }
    const until = Date.now() + graceMs;
    while (Date.now() < until) {
      if ((await startOf(pid)) !== start) return true;
      await sleep(20);
    }
  }
  return false;
}
