import { execFileSync } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { runAs } from '#operator/kubernetes/clustersettings.ts';
import { tmpFolder } from './tmp.ts';

/** Every file system read-only but one folder, as a pod has it, and nobody by that number. */
const script = `set -e
mount --make-rprivate /
mount --bind "$1" "$1"
for at in $(awk '{ print $2 }' /proc/self/mounts | sort -ur); do
  case $at in "$1" | /proc* | /sys* | /dev*) ;; *) mount -o remount,bind,ro "$at" ;; esac
done
shift
exec setpriv --reuid ${runAs} --regid ${runAs} --clear-groups env -i HOME=/tmp "$@"`;

/** The command that runs Node with `args` as pods run it: as user 65532, where only the folder `claim` can be written. */
export function asInPod(claim: string, args: readonly string[]): string[] {
  return ['unshare', '--mount', 'sh', '-c', script, 'sh', claim, process.execPath, ...args];
}

/** Whether that works here: it needs Linux, an administrator, and that nobody may read where Node and `main` are. */
export function canRunAsInPod(main: string): boolean {
  if (process.platform !== 'linux') return false;
  const claim = tmpFolder('possible');
  chmodSync(claim, 0o755);
  const [command, ...args] = asInPod(claim, ['--check', main]);
  try {
    execFileSync(command!, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
