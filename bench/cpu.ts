import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/** Kernel clock ticks a second as /proc shows them; fixed to 100 for user space on Linux (sysconf(_SC_CLK_TCK)). */
const ticksPerSecond = 100;

/** Processor seconds (user and system) that a process has used so far, to 10 ms. */
export function cpuSeconds(pid: number): number {
  if (existsSync(`/proc/${pid}/stat`)) {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
  }
  const time = execFileSync('ps', ['-o', 'time=', '-p', String(pid)], { encoding: 'utf8' }).trim();
  return time.split(/[:-]/).reduce((seconds, part) => seconds * 60 + Number(part), 0);
}

/** Highest resident memory of a running process so far, in bytes; null where the system does not tell (macOS). */
export function peakBytes(pid: number): number | null {
  try {
    const kib = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
    return kib === undefined ? null : Number(kib) * 1024;
  } catch {
    return null;
  }
}

/**
 * The command prefix that pins a process to one core, so that server and generator do not take turns on one.
 * Empty where it cannot be done (macOS, one core); the benchmark says so in its heading.
 */
export function pinnedTo(core: number): string[] {
  return process.platform === 'linux' && availableParallelism() > 1 && existsSync('/usr/bin/taskset')
    ? ['taskset', '-c', String(core)]
    : [];
}
