import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { clusterPrograms, findKubernetes } from '#setup/findkubernetes.cjs';
import { writeArchive } from '#setup/image/archive.ts';
import { createRootfs } from '#setup/image/rootfs.ts';
import { whyNoCluster } from '#test/support/cluster/choose.ts';
import { mustRun } from '#test/support/cluster/command.ts';
import { whyNoOwnCluster } from '#test/support/cluster/own.ts';
import type { TestCluster } from '#test/support/cluster/testcluster.ts';
import { startCluster } from '#test/support/cluster.ts';
import { descendants } from '#test/support/descendants.ts';
import { startProgram } from '#test/support/process.ts';
import { tmpFolder } from '#test/support/tmp.ts';
import { until } from '#test/support/until.ts';

const reason = await whyNoCluster(process.env);
if (reason !== null) console.error(`tests on a whole cluster are left out: ${reason}`);
const image = 'localhost/untradex-probe:1';

/** A pod as careful clusters want them; `more` is added to its container. */
function podSpec(args: readonly string[], more: Record<string, unknown> = {}) {
  const allowPrivilegeEscalation = false;
  const securityContext = { allowPrivilegeEscalation, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } };
  const user = { runAsNonRoot: true, runAsUser: 65_532, runAsGroup: 65_532, fsGroup: 65_532 };
  return {
    securityContext: { ...user, seccompProfile: { type: 'RuntimeDefault' } },
    terminationGracePeriodSeconds: 2,
    containers: [{ name: 'probe', image, args, securityContext, ...more }],
  };
}

const metadata = (name: string, more: Record<string, unknown> = {}) => ({ name, namespace: 'try', ...more });

const namespace = {
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name: 'try', labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
};
const client = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: metadata('client'),
  spec: podSpec(['serve', '/'], { command: ['/probe'] }),
};
const labels = { app: 'store' };
const service = (name: string, more: Record<string, unknown>) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: metadata(name),
  spec: { selector: labels, ports: [{ port: 80, targetPort: 8080 }], ...more },
});
const store = {
  apiVersion: 'apps/v1',
  kind: 'StatefulSet',
  metadata: metadata('store'),
  spec: {
    serviceName: 'store',
    replicas: 2,
    selector: { matchLabels: labels },
    template: {
      metadata: { labels },
      spec: podSpec(['serve', '/data'], {
        command: ['/probe'],
        volumeMounts: [{ name: 'data', mountPath: '/data' }],
        readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
      }),
    },
    volumeClaimTemplates: [
      {
        metadata: { name: 'data' },
        spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
      },
    ],
  },
};

async function packProbe(): Promise<string> {
  const programs = findKubernetes(process.env, ['probe']);
  if (programs === null) throw new Error('there is no probe: run npm run test:cluster, which builds it');
  const folder = tmpFolder('probe');
  createRootfs(join(folder, 'root')).copy(programs.probe, '/probe');
  const config = { tag: image, user: 65_532, env: {}, workingDir: '/', command: ['/probe'], labels: {} };
  await writeArchive(join(folder, 'root'), config, join(folder, 'probe.tar'));
  return join(folder, 'probe.tar');
}

describe.skipIf(reason !== null)('a whole cluster', () => {
  let cluster: TestCluster;

  beforeAll(async () => {
    cluster = await startCluster();
    await cluster.importImage(await packProbe());
    const objects = [namespace, client, service('store', { clusterIP: 'None' }), service('any', {}), store];
    for (const object of objects) {
      const { code, stderr } = await cluster.kubectl(['apply', '-f', '-'], JSON.stringify(object));
      expect(code, stderr).toBe(0);
    }
    await kubectl('-n', 'try', 'wait', '--for=condition=Ready', 'pod/client', '--timeout=40s');
    await kubectl('-n', 'try', 'rollout', 'status', 'statefulset/store', '--timeout=40s');
  }, 180_000);

  /** Must succeed; resolves with its stdout. */
  async function kubectl(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await cluster.kubectl(args);
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
    return stdout;
  }

  const fromPod = (...args: string[]) => kubectl('-n', 'try', 'exec', 'client', '--', '/probe', ...args);
  const podOf = async (name: string) => {
    const { body } = await cluster.call('GET', `/api/v1/namespaces/try/pods/${name}`);
    return body as {
      metadata: { uid: string };
      status: { podIP?: string; conditions?: { type: string; status: string }[] };
    };
  };

  test('pods find services and each other by name', async () => {
    const { podIP } = (await podOf('store-1')).status;
    // CoreDNS hears of a ready pod a moment after us.
    const address = () => fromPod('resolve', 'store-1.store.try.svc.cluster.local');
    expect(await until(address, { what: 'the name of a pod', timeoutMs: 10_000 })).toBe(`${podIP}\n`);
    expect(await fromPod('resolve', 'store-1.store.try.svc')).toBe(`${podIP}\n`);
    expect((await fromPod('resolve', 'store')).trim().split('\n')).toHaveLength(2);
    const { body } = await cluster.call('GET', '/api/v1/namespaces/try/services/any');
    expect(await fromPod('resolve', 'any')).toBe(`${(body.spec as { clusterIP: string }).clusterIP}\n`);
    await until(() => fromPod('get', 'http://any/').then(() => true), {
      what: 'an answer of the service',
      timeoutMs: 10_000,
    });
    await expect(fromPod('resolve', 'nobody.try.svc')).rejects.toThrow('no such host');
  });

  test('a service account reaches the API from its pod, with the rights that RBAC gives it', async () => {
    await expect(fromPod('api', '/api/v1/namespaces/try/pods')).rejects.toThrow('status 403');
    await kubectl('-n', 'try', 'create', 'rolebinding', 'look', '--clusterrole=view', '--serviceaccount=try:default');
    const pods = await until(() => fromPod('api', '/api/v1/namespaces/try/pods'), { what: 'the right to look' });
    expect((JSON.parse(pods) as { items: unknown[] }).items).toHaveLength(3);
    const token = (await kubectl('-n', 'try', 'create', 'token', 'default')).trim();
    expect(await cluster.call('GET', '/api/v1/namespaces/try/pods', { token })).toMatchObject({ status: 200 });
    expect(await cluster.call('GET', '/api/v1/namespaces/try/secrets', { token })).toMatchObject({ status: 403 });
  });

  test('a pod of a StatefulSet that is killed comes back under its name, with its data', async () => {
    const { metadata: before } = await podOf('store-0');
    await fromPod('put', 'http://store-0.store:8080/answer', 'forty-two');
    await kubectl('-n', 'try', 'delete', 'pod', 'store-0', '--force', '--grace-period=0');
    await until(
      async () => {
        const { metadata: now, status: after } = await podOf('store-0');
        return (
          now?.uid !== before.uid && after?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True')
        );
      },
      { what: 'the pod to come back', timeoutMs: 40_000 },
    );
    const answer = () => fromPod('get', 'http://store-0.store:8080/answer');
    expect(await until(answer, { what: 'its data', timeoutMs: 20_000 })).toBe('forty-two');
  });

  test('logs and port-forward work', async () => {
    await until(async () => (await kubectl('-n', 'try', 'logs', 'store-1')).includes('serving /data'), {
      what: 'its log',
    });
    const { kubectl: program } = cluster.programs;
    const argv = [program, '--kubeconfig', cluster.kubeconfig, '-n', 'try', 'port-forward', 'service/any', ':80'];
    const forward = startProgram({ argv });
    const port = await until(() => /127\.0\.0\.1:(\d+)/.exec(forward.stdout)?.[1], {
      what: 'a port',
      timeoutMs: 10_000,
    });
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(200);
    forward.kill('SIGTERM');
    await forward.ended();
  });

  test('this machine and pods reach each other by address', async () => {
    if (cluster.hostAddress === null) return;
    const { body } = await cluster.call('GET', '/api/v1/namespaces/try/services/any');
    expect((await fetch(`http://${(body.spec as { clusterIP: string }).clusterIP}/`)).status).toBe(200);
    const server = createServer((_, reply) => reply.end('from outside')).listen(0, cluster.hostAddress);
    onTestFinished(() => void server.close());
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    expect(await fromPod('get', `http://${cluster.hostAddress}:${port}/`)).toBe('from outside');
  });

  test('a ValidatingAdmissionPolicy is obeyed', async () => {
    const policy = {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingAdmissionPolicy',
      metadata: { name: 'no-secrets' },
      spec: {
        matchConstraints: {
          resourceRules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['configmaps'] }],
        },
        validations: [{ expression: "object.metadata.name != 'forbidden'", message: 'that name is not for you' }],
      },
    };
    const spec = { policyName: 'no-secrets', validationActions: ['Deny'] };
    const binding = { ...policy, kind: 'ValidatingAdmissionPolicyBinding', spec };
    await cluster.kubectl(['apply', '-f', '-'], JSON.stringify(policy));
    await cluster.kubectl(['apply', '-f', '-'], JSON.stringify(binding));
    const path = '/api/v1/namespaces/try/configmaps?dryRun=All';
    const refused = await until(
      async () => {
        const { status, body } = await cluster.call('POST', path, { body: { metadata: { name: 'forbidden' } } });
        return status === 422 && body.message;
      },
      { what: 'the policy to be obeyed', timeoutMs: 20_000 },
    );
    expect(refused).toContain('that name is not for you');
  });

  test('Helm talks to it', async () => {
    const { code, stdout, stderr } = await cluster.helm(['list', '--all-namespaces', '--output', 'json']);
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout)).toEqual([]);
  });

  test('volumes are offered again once their claims are gone', async () => {
    if (cluster.madeOf !== 'own') return;
    await kubectl('-n', 'try', 'delete', 'statefulset/store', '--wait');
    await kubectl('-n', 'try', 'delete', 'pvc', '--all', '--wait');
    const phases = async () => {
      const { body } = await cluster.call('GET', '/api/v1/persistentvolumes');
      return (body as { items: { status: { phase: string } }[] }).items.map(({ status }) => status.phase);
    };
    const released = async () => (await phases()).filter((phase) => phase === 'Released').length === 2;
    await until(released, { what: 'two released volumes', timeoutMs: 20_000 });
    await cluster.resetVolumes();
    const free = async () => (await phases()).every((phase) => phase === 'Available');
    await until(free, { what: 'all volumes to be free', timeoutMs: 20_000 });
  });
});

describe.skipIf(whyNoOwnCluster() !== null)('a cluster whose owner is killed', () => {
  const mark = { UNTRADEX_TEST_CLUSTER: 'own', UNTRADEX_TRIED: `${process.pid}` };
  const program = () => findKubernetes(process.env, clusterPrograms)!.kubectl;

  /** Something outside of the cluster that is there because of it. Others may soon have one of the same name. */
  interface Trace {
    readonly path: string;
    readonly id: string;
  }

  const identity = (path: string) => {
    const found = statSync(path, { throwIfNoEntry: false });
    return found === undefined ? null : `${found.ino} of ${found.birthtimeMs}`;
  };
  const remaining = (traces: readonly Trace[]) => traces.filter(({ path, id }) => identity(path) === id);

  function tracesOf(kubeconfig: string): { link: Trace[]; all: Trace[] } {
    const folder = dirname(kubeconfig);
    const seen = (path: string) => ({ path, id: identity(path) ?? '' });
    const link = seen(`/sys/class/net/${basename(folder).replace('-cluster-', '')}`);
    const hierarchies = ['.', ...readdirSync('/sys/fs/cgroup')];
    const groups = hierarchies.map((name) => join('/sys/fs/cgroup', name, basename(folder))).filter(existsSync);
    expect(link.id).not.toBe('');
    expect(groups).not.toEqual([]);
    return { link: [link], all: [link, seen(folder), ...groups.map(seen)] };
  }

  /** Starts one in a process of its own, with a pod. */
  async function up() {
    const owner = startProgram({ argv: [process.execPath, 'test/support/cluster/up.ts'], env: mark });
    const ready = () => owner.exit !== undefined || owner.stdout.includes('\n');
    await until(ready, { what: 'a cluster', timeoutMs: 90_000 });
    expect(owner.exit, owner.stderr).toBeUndefined();
    const kubectl = [program(), '--kubeconfig', owner.stdout.trim()];
    await mustRun([...kubectl, 'run', 'sleeper', '--image', 'localhost/untradex-pause:1']);
    await mustRun([...kubectl, 'wait', '--for=condition=Ready', 'pod/sleeper', '--timeout=40s']);
    return { owner, traces: tracesOf(owner.stdout.trim()) };
  }

  test('is gone at once, and the next one finds nothing in its way, and leaves nothing', async () => {
    const family = () => descendants(`UNTRADEX_TRIED=${mark.UNTRADEX_TRIED}`);
    const before = new Set(family().map(({ pid }) => pid));
    const alive = () => family().filter(({ pid }) => !before.has(pid));
    const first = await up();
    first.owner.kill('SIGKILL');
    const gone = () => alive().length + remaining(first.traces.link).length === 0;
    await until(gone, { what: 'the end of everything in it', timeoutMs: 20_000 });

    const second = await up();
    second.owner.kill('SIGTERM');
    expect(await second.owner.ended(40_000), second.owner.stderr).toMatchObject({ code: 0 });
    expect(alive()).toEqual([]);
    expect(remaining([...first.traces.all, ...second.traces.all])).toEqual([]);
    expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain('untradex-cluster-');
  });
});
