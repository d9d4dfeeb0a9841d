import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { V1Pod } from '@kubernetes/client-node';
import type { TestApiServer } from '../apiserver.ts';
import { onScopeEnd } from '../cleanup.ts';
import { tmpFolder } from '../tmp.ts';
import { openAddresses } from './addresses.ts';
import { type kinds, type Of, openNamespace, type Seen, type TestNamespace } from './cluster.ts';
import { collectGarbage, control } from './controllers.ts';
import { mount } from './mounts.ts';
import { type PodProcess, startPodProcess } from './podprocess.ts';

/**
 * A namespace of a lone API server made into one that works: what Kubernetes has controllers and nodes for is done
 * here, in rounds of about a tenth of a second, and pods are real processes of this machine, each with an address of
 * its own. Everything ends with the test.
 */
export type Kind = keyof typeof kinds;

export interface TestNode {
  readonly space: TestNamespace;
  /** Pods whose process runs, by name. */
  readonly running: ReadonlyMap<string, PodProcess>;
  /** Addresses of ready pods whose name contains this. */
  ready(part: string): string[];
  /** SIGKILL to the processes of pods whose name contains this, as a crash. How many there were. */
  kill9(part: string): number;
  /** Where a claim's files are, by its name. */
  claimFolder(name: string): Promise<string>;
  /** What went wrong in a round; it is repeated. */
  readonly errors: unknown[];
  /** The round is over that began last, and another one. */
  settled(): Promise<void>;
}

const pauseMs = 80;
const garbageEveryMs = 500;

export async function startTestNode(server: TestApiServer, namespace: string): Promise<TestNode> {
  const space = openNamespace(server, namespace);
  const addresses = await openAddresses();
  const folder = tmpFolder('node');
  const claims = join(folder, 'claims');
  /** By uid; null while it is mounted or stopped. */
  const pods = new Map<string, { readonly name: string; process: PodProcess | null; isReady: boolean }>();
  const errors: unknown[] = [];
  const work = new Set<Promise<void>>();
  let isOpen = true;
  let rounds = 0;

  function aside(task: Promise<void>): void {
    const done = task.catch((error: unknown) => void errors.push(error)).finally(() => work.delete(done));
    work.add(done);
  }

  async function runPod(pod: Of<V1Pod>): Promise<void> {
    const uid = pod.metadata.uid!;
    const { name, deletionTimestamp } = pod.metadata;
    const known = pods.get(uid);
    const isEnded = pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
    if (known === undefined) {
      if (deletionTimestamp !== undefined) return space.remove(pod, true);
      if (isEnded) return;
      pods.set(uid, { name, process: null, isReady: false });
      aside(begin(pod));
    } else if (known.process === null) return;
    else if (deletionTimestamp !== undefined) {
      const { process } = known;
      known.process = null;
      known.isReady = false;
      aside(end(pod, process));
    } else if (!isEnded) {
      const status = await known.process.status();
      known.isReady = JSON.stringify(status).includes('"Ready","status":"True"');
      await space.setStatus(pod, status);
    }
  }

  async function begin(pod: Of<V1Pod>): Promise<void> {
    const uid = pod.metadata.uid!;
    const { name } = pod.metadata;
    try {
      const place = { root: join(folder, 'pods', `${name}-${uid.slice(0, 8)}`), claims, addresses };
      const mounted = await mount(space, pod, place);
      const known = pods.get(uid);
      if (mounted === null || known === undefined || !isOpen) return void pods.delete(uid);
      known.process = await startPodProcess(pod, mounted, addresses.of(name));
    } catch (error) {
      pods.delete(uid);
      throw error;
    }
  }

  async function end(pod: Of<V1Pod>, process: PodProcess): Promise<void> {
    await process.stop();
    await space.remove(pod, true);
    pods.delete(pod.metadata.uid!);
  }

  /** Somebody removed a pod without a grace: its process is nobody's. */
  function endLost({ pods: there }: Seen): void {
    for (const [uid, { process }] of pods) {
      if (process === null || there.some(({ metadata }) => metadata.uid === uid)) continue;
      pods.delete(uid);
      process.kill();
      aside(process.stop());
    }
  }

  async function round(): Promise<void> {
    const seen = await space.look();
    endLost(seen);
    await Promise.all([control(space, seen), ...seen.pods.map(runPod)]);
  }

  async function run(): Promise<void> {
    let collectedAt = 0;
    while (isOpen) {
      try {
        await round();
        if (performance.now() - collectedAt > garbageEveryMs) {
          collectedAt = performance.now();
          await collectGarbage(space);
        }
      } catch (error) {
        if (isOpen) errors.push(error);
      }
      rounds += 1;
      await sleep(pauseMs);
    }
  }

  const running = run();
  onScopeEnd(async (failed) => {
    isOpen = false;
    await running;
    if (failed && errors.length > 0) console.error('of the test node:', errors.slice(-5));
    await Promise.all([...work]);
    for (const { process } of pods.values()) process?.kill();
    await Promise.all([...pods.values()].map(({ process }) => process?.stop()));
  });
  const byName = () =>
    new Map([...pods.values()].flatMap(({ name, process }) => (process ? [[name, process] as const] : [])));
  return {
    ...{ space, errors },
    get running() {
      return byName();
    },
    ready: (part) =>
      [...pods.values()].flatMap(({ name, isReady }) => (isReady && name.includes(part) ? [addresses.of(name)] : [])),
    kill9(part) {
      const hit = [...byName()].filter(([name, { pid }]) => name.includes(part) && pid !== undefined);
      for (const [, process] of hit) process.kill();
      return hit.length;
    },
    async claimFolder(name) {
      const claim = await space.api.get({ apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name });
      return join(claims, claim!.metadata.uid!);
    },
    async settled() {
      const from = rounds;
      while (isOpen && rounds < from + 2) await sleep(10);
    },
  };
}
