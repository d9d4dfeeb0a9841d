import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { until } from '../until.ts';
import { makeControlGroups, removeControlGroups } from './cgroups.ts';
import { type Ended, mustRun, runCommand } from './command.ts';
import type { Place } from './place.ts';

/**
 * A node's own world on this machine: namespaces for processes, mounts and the network, without Docker.
 *
 * The first process in there reads a pipe from this process. When the pipe ends (we stop, we are killed, the machine's
 * user presses Ctrl-C), it ends, and with it the kernel ends every process in there, whatever started it, and takes
 * away its mounts, bridges, routes and firewall rules, which nobody else ever saw. So nothing outlives us but a folder
 * and empty control groups, and those are removed by the next one who takes the place.
 *
 * Inside, /run and /var/log are empty and in memory, what is written to /var/lib is in memory too, and the settings of
 * the kernel that a kubelet changes for the whole machine (to panic on an oops, to overcommit memory) are copies.
 */
export interface TestNode {
  /** Starts a program that runs as long as the node; what it says goes to `NAME.log` in `logs`. */
  start(name: string, argv: readonly string[]): Running;
  /** Runs a program inside that must succeed, at most a minute, and resolves with its stdout. */
  run(...argv: readonly string[]): Promise<string>;
  /** Runs a program inside that may fail, and resolves with what became of it. */
  attempt(...argv: readonly string[]): Promise<Ended>;
  readonly logs: string;
  /** Ends everything inside, and removes what is left outside. Takes at most half a minute. */
  end(): Promise<void>;
}

export interface Running {
  /** Rejects at once when it has ended, else resolves when `ready` does, looked at until `timeoutMs` (60,000). */
  until(ready: () => Promise<boolean> | boolean, timeoutMs?: number): Promise<void>;
}

export interface NodeOptions {
  readonly place: Place;
  /** The program that the namespaces' first process runs (setup/kubernetes/pause). */
  readonly pause: string;
  /** The environment of every program inside. */
  readonly env: NodeJS.ProcessEnv;
}

/** Clears the place of what a killed run left, then makes the namespaces and the way to them. */
export async function openNode({ place, pause, env }: NodeOptions): Promise<TestNode> {
  await clearPlace(place, env);
  const logs = join(place.folder, 'log');
  for (const folder of [place.folder, logs]) mkdirSync(folder, { mode: 0o700 });
  makeControlGroups(place.name);
  const holder = await makeNamespaces(place, pause, env);
  const enter = ['nsenter', '--target', String(holder.first), '--mount', '--pid', '--net', '--'];
  const node: TestNode = {
    logs,
    run: (...argv) => mustRun([...enter, ...argv], { env }),
    attempt: (...argv) => runCommand([...enter, ...argv], { env }),
    start: (name, argv) => start(name, [...enter, ...argv], env, join(logs, `${name}.log`)),
    end: async () => {
      await endNamespaces(holder.process);
      await clearPlace(place, env);
    },
  };
  try {
    await connect(place, node, holder.first, env);
  } catch (error) {
    await node.end();
    throw error;
  }
  return node;
}

/** As root of a new world; `$1` is a folder for copies of settings. The rest of the arguments becomes its first process. */
const prepare = `
set -e
mount --make-rshared /
mount -t tmpfs -o mode=755 run /run
mount -t tmpfs -o mode=755 log /var/log
mkdir -p /run/var-lib/upper /run/var-lib/work
mount -t overlay -o lowerdir=/var/lib,upperdir=/run/var-lib/upper,workdir=/run/var-lib/work var-lib /var/lib
copies=$1
shift
for setting in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops \\
  kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
  [ -e /proc/sys/$setting ] || continue
  cat /proc/sys/$setting > $copies/\${setting##*/}
  mount --bind $copies/\${setting##*/} /proc/sys/$setting
done
ip link set lo up
echo prepared
exec "$@"
`;

interface Holder {
  readonly process: ChildProcess;
  /** The first process inside, by its number outside. */
  readonly first: number;
}

async function makeNamespaces(place: Place, pause: string, env: NodeJS.ProcessEnv): Promise<Holder> {
  const copies = join(place.folder, 'settings');
  mkdirSync(copies);
  const unshare = ['--mount', '--pid', '--net', '--fork', '--kill-child', '--mount-proc', '--'];
  const argv = [...unshare, 'sh', '-c', prepare, 'sh', copies, pause, '-until-eof'];
  const child = spawn('unshare', argv, { env, stdio: ['pipe', 'pipe', 'pipe'] });
  let said = '';
  for (const output of [child.stdout, child.stderr]) output.setEncoding('utf8').on('data', (more) => (said += more));
  child.on('error', (error) => (said += error.message));
  const gone = () => child.exitCode !== null || child.pid === undefined;
  await until(() => said.includes('prepared') || gone(), { what: 'new namespaces', timeoutMs: 20_000 });
  if (gone()) throw new Error(`no namespaces can be made on this machine (${said.trim()}): it takes a real root`);
  const first = childOf(child.pid!);
  writeFileSync(firstFile(place), JSON.stringify({ pid: first, startedAt: processStart(first) }));
  return { process: child, first };
}

function firstFile(place: Place): string {
  return join(place.folder, 'first.json');
}

/** When a process was started, in the kernel's ticks: with its number that names it for good. Null when it is gone. */
function processStart(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}

function childOf(parent: number): number {
  for (const name of readdirSync('/proc').filter((each) => /^\d+$/.test(each))) {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      if (Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent) return Number(name);
    } catch {
      // It ended while we looked.
    }
  }
  throw new Error(`process ${parent} has no child`);
}

async function endNamespaces(holder: ChildProcess): Promise<void> {
  if (holder.exitCode !== null || holder.signalCode !== null) return;
  const exit = once(holder, 'exit');
  holder.stdin?.end();
  // It kills the first process when it is killed itself.
  const impatient = setTimeout(() => holder.kill('SIGKILL'), 15_000);
  await exit;
  clearTimeout(impatient);
}

/** A cable between this machine and the node, and routes, so that tests reach pods and services by their addresses. */
async function connect(place: Place, node: TestNode, first: number, env: NodeJS.ProcessEnv): Promise<void> {
  const ip = (...args: string[]) => mustRun(['ip', ...args], { env });
  await ip('link', 'add', place.link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(first));
  await ip('addr', 'add', `${place.hostAddress}/30`, 'dev', place.link);
  await ip('link', 'set', place.link, 'up');
  await node.run('ip', 'addr', 'add', `${place.nodeAddress}/30`, 'dev', 'eth0');
  await node.run('ip', 'link', 'set', 'eth0', 'up');
  await node.run('ip', 'route', 'add', 'default', 'via', place.hostAddress);
  await node.run('sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward');
  for (const range of [place.pods, place.services]) await ip('route', 'add', range, 'via', place.nodeAddress);
}

function start(name: string, argv: readonly string[], env: NodeJS.ProcessEnv, log: string): Running {
  const [program = '', ...args] = argv;
  const output = openSync(log, 'a');
  const child = spawn(program, args, { env, stdio: ['ignore', output, output] });
  closeSync(output);
  const gone = () => child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
  child.on('error', () => {}); // It has no pid then, which `gone` sees.
  return {
    async until(ready, timeoutMs = 60_000) {
      const tail = () => readFileSync(log, 'utf8').trimEnd().split('\n').slice(-8).join('\n');
      await until(async () => gone() || (await ready()), {
        what: `${name} to be ready`,
        timeoutMs,
        everyMs: 100,
      }).catch((cause: Error) => {
        throw new Error(`${cause.message}; it said:\n${tail()}`, { cause });
      });
      if (gone()) throw new Error(`${name} ended at its start:\n${tail()}`);
    },
  };
}

/** Removes all that a node of this place left, or, after a SIGKILL of everything outside, is about to leave. */
export async function clearPlace(place: Place, env: NodeJS.ProcessEnv): Promise<void> {
  await endFirst(place);
  await removeLink(place.link, env);
  await removeControlGroups(place.name);
  rmSync(place.folder, { recursive: true, force: true, maxRetries: 3 });
}

/** The first process of a node whose owner is gone ends by itself, unless somebody stopped it. */
async function endFirst(place: Place): Promise<void> {
  if (!existsSync(firstFile(place))) return;
  const { pid, startedAt } = JSON.parse(readFileSync(firstFile(place), 'utf8')) as { pid: number; startedAt: string };
  const lives = () => processStart(pid) === startedAt;
  if (lives()) process.kill(pid, 'SIGKILL');
  await until(() => !lives(), { what: `process ${pid} of a former cluster to end`, timeoutMs: 15_000 });
}

/** It goes with its other end, a moment after the namespaces. */
async function removeLink(link: string, env: NodeJS.ProcessEnv): Promise<void> {
  const there = () => existsSync(`/sys/class/net/${link}`);
  if (there()) await runCommand(['ip', 'link', 'delete', link], { env });
  await until(() => !there(), { what: `the network interface ${link} to go` });
}
