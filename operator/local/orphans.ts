import { basename } from 'node:path';
import { problem } from '#queue/problem.ts';
import { type DataFolder, readJson, writeJson } from './datafolder.ts';
import { endProcess, listProcesses, startOf } from './processes.ts';

/** A process that a run started. */
interface RecordedChild {
  readonly pid: number;
  readonly start: string;
  readonly what: string;
}

/** Keeps DIR/children.json: what this run has started and is not known to have ended. */
export interface ChildrenFile {
  add(pid: number, what: string): Promise<void>;
  remove(pid: number): Promise<void>;
}

const graceMs = 3_000;

export function openChildrenFile(folder: DataFolder): ChildrenFile {
  const children = new Map<number, RecordedChild>();
  let writing: Promise<void> = Promise.resolve();
  const save = (): Promise<void> => {
    writing = writing.catch(() => undefined).then(() => writeJson(folder.children, [...children.values()]));
    return writing;
  };
  return {
    async add(pid, what) {
      const start = await startOf(pid);
      if (start === null) return;
      children.set(pid, { pid, start, what });
      await save();
    },
    async remove(pid) {
      if (children.delete(pid)) await save();
    },
  };
}

/**
 * Ends what an earlier run of this folder left behind when it was killed: the processes that it recorded (same pid and
 * same start), and those that it could not record any more, known by the configuration file of this folder on their
 * command line. Called with the folder's lock held, before anything is started.
 * @returns what was ended, for the log
 * @throws Problem `orphan_stays` when one cannot be ended
 */
export async function endOrphans(folder: DataFolder): Promise<string[]> {
  const recorded = (await readJson<RecordedChild[]>(folder.children)) ?? [];
  const orphans = new Map(recorded.map((child) => [child.pid, child]));
  for (const { pid, args } of await listProcesses()) {
    if (orphans.has(pid) || pid === process.pid || !isOurs(folder, args)) continue;
    const start = await startOf(pid);
    if (start !== null) orphans.set(pid, { pid, start, what: basename(args[0] ?? '') });
  }
  const ended = await Promise.all([...orphans.values()].map(endOrphan));
  await writeJson(folder.children, []);
  return ended.filter((what) => what !== null);
}

async function endOrphan({ pid, start, what }: RecordedChild): Promise<string | null> {
  if ((await startOf(pid)) !== start) return null;
  if (await endProcess(pid, start, graceMs)) return `${what} (pid ${pid})`;
  throw problem(
    'orphan_stays',
    `${what} (pid ${pid}) of an earlier run does not end, not even by SIGKILL`,
    'find out what holds it (a hanging disk, a debugger), end it, and start again',
  );
}

/** A server on a redis.conf of this folder, or a Node program with a --config of it. */
function isOurs(folder: DataFolder, args: readonly string[]): boolean {
  const program = basename(args[0] ?? '');
  const within = (path: string | undefined, part: string) => path?.startsWith(`${folder.root}/${part}/`) === true;
  if (/^(redis|valkey)-/.test(program) || args.some((arg) => /(redis|valkey)-server$/.test(arg))) {
    return args.some((arg) => within(arg, 'redis') && arg.endsWith('/redis.conf'));
  }
  if (!/^node/.test(program)) return false;
  const config = args[args.indexOf('--config') + 1];
  return args.includes('--config') && (within(config, 'gateway') || within(config, 'export'));
}
