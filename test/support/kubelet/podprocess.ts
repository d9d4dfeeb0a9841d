import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { get } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { V1Container, V1Pod, V1Probe } from '@kubernetes/client-node';
import { findRedisBinary } from '#operator/local/redisbinary.ts';
import type { Of } from './cluster.ts';
import type { Mounted } from './mounts.ts';

/** The container of a pod as a process of this machine: started again when it ends, unless its pod says never. */
export interface PodProcess {
  readonly pid: number | undefined;
  /** What a kubelet would write to the pod's status now. */
  status(): Promise<object>;
  /** Ended for good. */
  readonly isOver: boolean;
  /** SIGTERM, and SIGKILL when that does not end it in time; resolves when it has ended. */
  stop(): Promise<void>;
  kill(): void;
  /** The last of what it said. */
  readonly log: string;
}

const repository = join(import.meta.dirname, '../../..');
const restartMs = 200;
const stopMs = 4_000;
const keptCharacters = 100_000;

export async function startPodProcess(
  pod: Of<V1Pod>,
  { rewrite, terminationLog, logFile }: Mounted,
  address: string,
): Promise<PodProcess> {
  const container = pod.spec!.containers[0]!;
  const once = pod.spec!.restartPolicy === 'Never';
  const env = environmentOf(pod, container);
  const redis = (await findRedisBinary()).path;
  const argv = [...(container.command ?? []), ...(container.args ?? [])]
    .map((word) => word.replaceAll(/\$\((\w+)\)/g, (whole, name: string) => env[name] ?? whole))
    .map((word) => programOf(rewrite(word), redis));
  let child: ChildProcess | null = null;
  let restarts = 0;
  let startedAt = '';
  let log = '';
  let last: object | null = null;
  let over: { readonly phase: string } | null = null;
  let stopping = false;
  let timer: NodeJS.Timeout | undefined;

  function start(): void {
    rmSync(terminationLog, { force: true });
    startedAt = new Date().toISOString();
    const started = spawn(argv[0]!, argv.slice(1), {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child = started;
    for (const output of [started.stdout!, started.stderr!]) {
      output.setEncoding('utf8').on('data', (text: string) => {
        log = (log + text).slice(-keptCharacters);
        appendFileSync(logFile, text);
      });
    }
    started.once('error', (error) => {
      log += error.message;
    });
    started.once('close', ended);
  }

  function ended(code: number | null, signal: NodeJS.Signals | null): void {
    child = null;
    const exitCode = code ?? 137;
    const message = existsSync(terminationLog)
      ? readFileSync(terminationLog, 'utf8')
      : exitCode === 0
        ? ''
        : log.slice(-2_000);
    const reason = exitCode === 0 ? 'Completed' : 'Error';
    last = { terminated: { exitCode, reason, message, startedAt, finishedAt: new Date().toISOString() } };
    if (once) over = { phase: exitCode === 0 ? 'Succeeded' : 'Failed' };
    else if (!stopping) {
      restarts += 1;
      timer = setTimeout(
        start,
        signal === null && Date.now() - Date.parse(startedAt) < 1_000 ? 5 * restartMs : restartMs,
      );
    }
  }

  async function status(): Promise<object> {
    const isReady = child !== null && (await answers(container.readinessProbe, container, address));
    const [known] = pod.spec!.containers;
    const state =
      child !== null ? { running: { startedAt } } : over !== null ? last : { waiting: { reason: 'CrashLoopBackOff' } };
    return {
      ...{ phase: over?.phase ?? 'Running', podIP: address, podIPs: [{ ip: address }], hostIP: '127.0.0.1' },
      conditions: ['PodScheduled', 'Initialized', 'ContainersReady', 'Ready'].map((type, at) => ({
        ...{ type, status: at < 2 || isReady ? 'True' : 'False' },
      })),
      containerStatuses: [
        {
          ...{ name: known!.name, image: known!.image, imageID: '', ready: isReady, restartCount: restarts },
          ...{ state, ...(last !== null && over === null && { lastState: last }) },
        },
      ],
    };
  }

  start();
  return {
    status,
    get pid() {
      return child?.pid;
    },
    get isOver() {
      return over !== null;
    },
    get log() {
      return log;
    },
    kill: () => void child?.kill('SIGKILL'),
    async stop() {
      stopping = true;
      clearTimeout(timer);
      const ending = child;
      if (ending === null) return;
      const closed = new Promise((resolve) => ending.once('close', resolve));
      ending.kill('SIGTERM');
      const late = setTimeout(() => ending.kill('SIGKILL'), stopMs);
      await closed;
      clearTimeout(late);
    },
  };
}

/** What stands in the images, as this machine has it. */
function programOf(word: string, redis: string): string {
  if (word === 'node') return process.execPath;
  if (word === 'redis-server') return redis;
  const [, program] = /^\/app\/dist\/(gateway|exporter)\.mjs$/.exec(word) ?? [];
  return program === undefined ? word : join(repository, program, 'main.ts');
}

function environmentOf({ metadata }: Of<V1Pod>, { env = [] }: V1Container): Record<string, string> {
  const index = metadata.annotations?.['batch.kubernetes.io/job-completion-index'];
  const given = env.map(({ name, value, valueFrom }): [string, string] => {
    const [, kind, key] = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(valueFrom?.fieldRef?.fieldPath ?? '') ?? [];
    const values = kind === 'labels' ? metadata.labels : metadata.annotations;
    return [name, value ?? values?.[key ?? ''] ?? ''];
  });
  return { ...(index !== undefined && { JOB_COMPLETION_INDEX: index }), ...Object.fromEntries(given) };
}

/** Whether a probe succeeds; a container without one is ready when it runs. */
function answers(probe: V1Probe | undefined, { ports = [] }: V1Container, host: string): Promise<boolean> | boolean {
  const portOf = (port: unknown) => ports.find(({ name }) => name === port)?.containerPort ?? Number(port);
  if (probe?.httpGet !== undefined) return answersHttp(host, portOf(probe.httpGet.port), probe.httpGet.path ?? '/');
  return probe?.tcpSocket === undefined || answersTcp(host, portOf(probe.tcpSocket.port));
}

function answersHttp(host: string, port: number, path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get({ host, port, path, agent: false, timeout: 1_000 }, (reply) => {
      reply.resume();
      resolve(reply.statusCode === 200);
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(false));
  });
}

function answersTcp(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: 1_000 });
    const end = (is: boolean) => {
      socket.destroy();
      resolve(is);
    };
    socket
      .on('connect', () => end(true))
      .on('error', () => end(false))
      .on('timeout', () => end(false));
  });
}
