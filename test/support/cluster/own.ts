import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { findContainers } from '#setup/findcontainers.cjs';
import { writeArchive } from '#setup/image/archive.ts';
import { createRootfs } from '#setup/image/rootfs.ts';
import { makeAccounts } from './accounts.ts';
import { type Binaries, findClusterPrograms } from './binaries.ts';
import { type Call, createCall, createTool, helmHomes } from './client.ts';
import { startApi, startControllers } from './controlplane.ts';
import { dnsObjects, startDns } from './dns.ts';
import { clearPlace, openNode, type TestNode } from './node.ts';
import { type Place, takePlace, visitFreePlaces } from './place.ts';
import type { TestCluster } from './testcluster.ts';
import { resetVolumes, volumeObjects } from './volumes.ts';
import { nodeName, pauseImage, startContainerd, startWorker } from './worker.ts';

/**
 * A cluster of one node, out of Kubernetes' own programs on this machine, without Docker. It takes Linux and root, and
 * what `npm run test:cluster` gets. Ready in about ten seconds, with about 1 GB of memory.
 *
 * It is a real one: RBAC and the node authorizer, all admission plugins that are on by default, controllers,
 * scheduler, kubelet, containers by containerd and runc, services by kube-proxy, names by CoreDNS. What it has not:
 * nothing enforces NetworkPolicies, no Ingress or Gateway controller, no load balancers, no registry (images are
 * imported), no way from pods to the world outside of this machine, no access control on the kubelet's own port.
 *
 * What machines made necessary is told where it is dealt with: worker.ts (control groups of version 1, OOM scores that
 * may not be lowered, tables of connections that may not be resized, layers upon layers), node.ts (all that
 * Kubernetes does to the machine around it), controlplane.ts (names of nodes), volumes.ts (`hostPath`).
 * Containerd 1.6, which Debian 12 has, serves Kubernetes up to 1.35; a later one takes containerd 2.
 */
export async function startOwnCluster(): Promise<TestCluster> {
  const programs = findClusterPrograms(process.env);
  const containers = findContainers(process.env);
  const why = whyNoOwnCluster() ?? whatIsMissing(programs, containers.lacking);
  if (why !== null) throw new Error(why);
  const place = await takePlace();
  const env = { ...process.env, ...noProxy, PATH: containers.path, ...containers.env };
  try {
    await visitFreePlaces((free) => clearPlace(free, env));
    const node = await openNode({ place, pause: programs!.pause, env });
    try {
      return await startOn(node, place, programs!, containers.plugins);
    } catch (error) {
      await node.end();
      throw error;
    }
  } catch (error) {
    await place.release();
    throw error;
  }
}

/** All of it is on this machine, also when the way elsewhere leads through a proxy. */
const noProxy = { NO_PROXY: '*', no_proxy: '*' };

/** Why this machine is not of the kind that can have such a cluster, in one line; null when it is. */
export function whyNoOwnCluster(): string | null {
  if (process.platform === 'linux' && process.getuid?.() === 0) return null;
  return 'a cluster of own programs takes Linux and root; where Docker and kind run, kind is used';
}

function whatIsMissing(programs: Binaries | null, lacking: readonly string[]): string | null {
  if (programs === null) return 'programs of Kubernetes are missing: run npm run test:cluster, which builds them';
  if (lacking.length > 0)
    return `${lacking.join(', ')} are missing: run npm run test:cluster, or install these packages`;
  return null;
}

async function startOn(node: TestNode, place: Place, programs: Binaries, plugins: string): Promise<TestCluster> {
  const accounts = makeAccounts(place);
  const kubeconfig = accounts.kubeconfig('admin');
  const call = createCall(kubeconfig);
  const parts = { node, place, accounts, programs, plugins };
  await Promise.all([
    startApi(parts, call),
    startContainerd(parts).then(async () => importImage(node, await packPause(place, programs.pause))),
  ]);
  const { manager } = startControllers(parts);
  for (const object of [...dnsObjects(place), ...volumeObjects(place.folder)]) await create(call, object);
  const dns = startDns(node, place, accounts, programs.coredns);
  const { kubelet, proxy } = startWorker(parts);
  await Promise.all([
    manager.until(() => exists(call, '/api/v1/namespaces/default/serviceaccounts/default')),
    dns.until(() => true),
    proxy.until(async () => (await node.attempt('iptables', '-t', 'nat', '-L', 'KUBE-SERVICES', '-n')).code === 0),
    kubelet.until(() => nodeIsReady(call)),
  ]);
  return control({ node, place, programs, kubeconfig, call });
}

/** Paths of collections by what they hold: this is all that the cluster itself begins with. */
const collections: Readonly<Record<string, string>> = {
  Service: '/api/v1/namespaces/kube-system/services',
  EndpointSlice: '/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices',
  ClusterRole: '/apis/rbac.authorization.k8s.io/v1/clusterroles',
  ClusterRoleBinding: '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings',
  StorageClass: '/apis/storage.k8s.io/v1/storageclasses',
  PersistentVolume: '/api/v1/persistentvolumes',
};

async function create(call: Call, object: { readonly kind: string }): Promise<void> {
  const { status, body } = await call('POST', collections[object.kind]!, { body: object });
  if (status !== 201) throw new Error(`${object.kind} cannot be made: ${status} ${body.message}`);
}

async function exists(call: Call, path: string): Promise<boolean> {
  return (await call('GET', path)).status === 200;
}

async function nodeIsReady(call: Call): Promise<boolean> {
  const { status, body } = await call('GET', `/api/v1/nodes/${nodeName}`);
  if (status !== 200) return false;
  const { conditions } = body.status as { conditions: { type: string; status: string }[] };
  return conditions.some((condition) => condition.type === 'Ready' && condition.status === 'True');
}

/** The image of every pod's sandbox. */
async function packPause(place: Place, program: string): Promise<string> {
  const root = join(place.folder, 'pause');
  createRootfs(root).copy(program, '/pause');
  const file = join(place.folder, 'pause.tar');
  const config = { tag: pauseImage, user: 65_535, env: {}, workingDir: '/', command: ['/pause'], labels: {} };
  await writeArchive(root, config, file);
  return file;
}

async function importImage(node: TestNode, archive: string): Promise<void> {
  await node.run('ctr', '--namespace', 'k8s.io', 'images', 'import', archive);
}

interface Made {
  readonly node: TestNode;
  readonly place: Place;
  readonly programs: Binaries;
  readonly kubeconfig: string;
  readonly call: Call;
}

function control({ node, place, programs, kubeconfig, call }: Made): TestCluster {
  const home = (name: string) => join(place.folder, 'homes', name);
  mkdirSync(join(place.folder, 'homes'));
  let stopped: Promise<void> | undefined;
  return {
    madeOf: 'own',
    kubeconfig,
    programs: { kubectl: programs.kubectl, helm: programs.helm },
    kubectl: createTool(programs.kubectl, kubeconfig, { ...noProxy, KUBECACHEDIR: home('kubectl') }),
    helm: createTool(programs.helm, kubeconfig, { ...noProxy, ...helmHomes(home('helm')) }),
    call,
    importImage: (archive) => importImage(node, archive),
    resetVolumes: () => resetVolumes(place.folder, call),
    hostAddress: place.hostAddress,
    logs: node.logs,
    stop: () => (stopped ??= node.end().finally(() => place.release())),
  };
}
