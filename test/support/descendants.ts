import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

export interface Descendant {
  readonly pid: number;
  readonly command: string;
}

interface Process extends Descendant {
  readonly parent: number;
  readonly zombie: boolean;
  readonly marked: boolean;
}

/**
 * The living descendants of this process. On Linux also those whose parent died, known by `mark` (`NAME=value`) in
 * the environment that they inherited. What has ended and is not yet reaped does not count.
 */
export function descendants(mark: string): Descendant[] {
  const all = process.platform === 'linux' ? fromProc(mark) : fromPs();
  const family = new Set([process.pid]);
  for (let size = 0; size < family.size; ) {
    size = family.size;
    for (const { pid, parent, marked } of all) if (marked || family.has(parent)) family.add(pid);
  }
  family.delete(process.pid);
  return all.filter(({ pid, zombie, command }) => family.has(pid) && !zombie && !command.startsWith('ps -axo'));
}

function fromProc(mark: string): Process[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.flatMap((name) => {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
      const marked = readFileSync(`/proc/${name}/environ`, 'latin1').split('\0').includes(mark);
      return [{ pid: Number(name), parent: Number(parent), zombie: state === 'Z', command, marked }];
    } catch {
      return []; // It ended while we looked, or belongs to somebody else.
    }
  });
}

function fromPs(): Process[] {
  const lines = execFileSync('ps', ['-axo', 'pid=,ppid=,state=,command='], { encoding: 'utf8' }).split('\n');
  return lines.flatMap((line) => {
    const match = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line);
    if (match === null) return [];
    const [, pid, parent, state = '', command = ''] = match;
    return [{ pid: Number(pid), parent: Number(parent), zombie: state.startsWith('Z'), command, marked: false }];
  });
}
