import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../until.ts';

/**
 * The control groups of one cluster: a group of its own in each hierarchy, which the kubelet takes as its root, so that
 * all that it makes can be found and removed. With version 1 (and the hybrid of both) each controller is a hierarchy.
 */
const top = '/sys/fs/cgroup';

export function makeControlGroups(name: string): void {
  if (existsSync(join(top, 'cgroup.controllers'))) delegateControllers(top);
  for (const hierarchy of hierarchies()) mkdirSync(join(hierarchy, name), { recursive: true });
  if (existsSync(join(top, 'cgroup.controllers'))) delegateControllers(join(top, name));
}

/** Removes the groups once nobody is in them, which takes a moment after the last process' end. */
export async function removeControlGroups(name: string): Promise<void> {
  const groups = hierarchies().map((hierarchy) => join(hierarchy, name));
  const gone = () => groups.every((group) => !existsSync(group) || removed(group));
  await until(gone, { what: `the control groups ${name} to be removable`, timeoutMs: 10_000 });
}

/** Whether control groups of version 2 are all that there is. */
export function onlyVersion2(): boolean {
  return existsSync(join(top, 'cgroup.controllers'));
}

function hierarchies(): string[] {
  if (onlyVersion2()) return [top];
  const folders = readdirSync(top, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return folders.map(({ name }) => join(top, name)).filter((folder) => existsSync(join(folder, 'cgroup.procs')));
}

/** Version 2: what is below `group` may be limited by everything that `group` itself is. */
function delegateControllers(group: string): void {
  const given = readFileSync(join(group, 'cgroup.controllers'), 'utf8').trim().split(/\s+/).filter(Boolean);
  for (const controller of given) {
    try {
      writeFileSync(join(group, 'cgroup.subtree_control'), `+${controller}`);
    } catch {
      // Not every controller can be given on (those of processes with real-time priority); the kubelet says which lack.
    }
  }
}

/** Removes a group with all below it; false while a process is in one. */
function removed(group: string): boolean {
  const below = readdirSync(group, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  if (!below.map(({ name }) => removed(join(group, name))).every(Boolean)) return false;
  try {
    rmdirSync(group);
    return true;
  } catch {
    return false;
  }
}
