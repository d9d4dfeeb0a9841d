import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { readOperatorConfig } from '#operator/kubernetes/config.ts';
import { findKubernetes } from '#setup/findkubernetes.cjs';
import { startApiServer, type TestApiServer } from '#test/support/apiserver.ts';
import { startProgram } from '#test/support/process.ts';
import { tmpFolder } from '#test/support/tmp.ts';
import { until } from '#test/support/until.ts';
import { chartFolder, helm, type Manifest, ofKind, release, releaseNamespace, render, settingOf } from './helm.ts';
import { writeSchemas } from './kubeschemas.ts';
import { otherDefinitions } from './otherdefinitions.ts';

const values = parse(readFileSync(`${chartFolder}/values.yaml`, 'utf8'));
const schema = JSON.parse(readFileSync(`${chartFolder}/values.schema.json`, 'utf8'));
const everything = {
  ...{ 'metrics.podMonitor.enabled': true, 'metrics.prometheusRule.enabled': true, 'rbac.adminsMayFinalize': true },
  ...{ 'adminApi.enabled': true, 'adminApi.tlsSecret': 'admin-tls' },
};
const namespaced = { watchNamespaces: ['exams-a', 'exams-b'] };

/** What platform teams set, each for itself. */
const variants: readonly { readonly title: string; readonly set: Readonly<Record<string, unknown>> }[] = [
  { title: 'nothing', set: {} },
  { title: 'every switch on', set: everything },
  { title: 'every switch off', set: allSwitches(values) },
  { title: 'two namespaces', set: namespaced },
  { title: 'two namespaces and every switch', set: { ...namespaced, ...everything } },
  { title: 'one operator', set: { replicaCount: 1 } },
  { title: 'an account that exists', set: { serviceAccount: { create: false, name: 'given' }, 'rbac.create': false } },
  {
    title: 'images of a registry',
    set: {
      ...{ 'image.repository': 'registry.example.edu:5000/exams/untradex', 'image.tag': '1.2.3' },
      ...{ 'image.digest': `sha256:${'a'.repeat(64)}`, 'image.pullPolicy': 'Always', pullSecrets: ['registry'] },
      redisImage: `registry.example.edu:5000/redis@sha256:${'b'.repeat(64)}`,
    },
  },
  {
    title: 'places for pods',
    set: {
      ...{ nodeSelector: { pool: 'system' }, priorityClassName: 'exams', podLabels: { team: 'exams' } },
      ...{ tolerations: [{ key: 'dedicated', operator: 'Exists', effect: 'NoSchedule' }] },
      ...{ podAnnotations: { 'example.com/a': 'b' }, affinity: { podAntiAffinity: antiAffinity() } },
      topologySpreadConstraints: [{ maxSkew: 1, topologyKey: 'rack', whenUnsatisfiable: 'DoNotSchedule' }],
    },
  },
  {
    title: 'other names and settings',
    set: {
      ...{ fullnameOverride: 'exams', clusterDomain: 'cluster.example', storageClass: 'fast', logLevel: 'debug' },
      ...{ workers: 16, 'leaderElection.leaseSeconds': 30, networkPolicies: false, resources: {} },
      ...{ monitoringNamespaces: ['monitoring'], 'networkPolicy.from': [{ namespaceSelector: {} }] },
    },
  },
];

/** Each `enabled`, and each boolean by itself, as false. */
function allSwitches(part: Record<string, unknown>, path = ''): Record<string, false> {
  const entries = Object.entries(part).flatMap(([name, value]): [string, false][] => {
    const at = `${path}${name}`;
    if (typeof value === 'boolean') return at === 'serviceAccount.create' ? [] : [[at, false]];
    const isMap = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isMap ? Object.entries(allSwitches(value as Record<string, unknown>, `${at}.`)) : [];
  });
  return Object.fromEntries(entries);
}

function antiAffinity() {
  const podAffinityTerm = { topologyKey: 'kubernetes.io/hostname', labelSelector: { matchLabels: { team: 'exams' } } };
  return { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100, podAffinityTerm }] };
}

describe('the chart', () => {
  test('has the version of the program', () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
    expect(parse(readFileSync(`${chartFolder}/Chart.yaml`, 'utf8'))).toMatchObject({ version, appVersion: version });
  });

  test.each(variants)('passes helm lint --strict with $title', async ({ set }) => {
    const linted = await helm('lint', '--strict', chartFolder, ...settingOf(set));
    expect(linted.code, linted.stdout + linted.stderr).toBe(0);
  });

  test('brings the definition as it is generated, to be kept', async () => {
    const [crd] = ofKind(await render(), 'CustomResourceDefinition');
    expect(crd!.spec).toEqual(parse(readFileSync('crds/examsessions.untradex.io.yaml', 'utf8')).spec);
    expect(crd!.metadata.annotations).toMatchObject({ 'helm.sh/resource-policy': 'keep' });
  });

  test('restarts the operators when their configuration changes', async () => {
    const checksum = async (set: Record<string, unknown>) => {
      const [deployment] = ofKind(await render(set), 'Deployment');
      return deployment!.spec.template.metadata.annotations['checksum/config'];
    };
    expect(await checksum({})).toBe(await checksum({ replicaCount: 3 }));
    expect(await checksum({})).not.toBe(await checksum({ logLevel: 'debug' }));
  });

  test.each(variants)('writes a configuration that the operator takes, with $title', async ({ set }) => {
    const [map] = ofKind(await render(set), 'ConfigMap');
    const { tls, ...admin } = readOperatorConfig(map!.data['operator.yaml']).admin;
    expect(admin).toEqual({ enabled: 'adminApi.enabled' in set && set['adminApi.enabled'], port: 8443 });
    expect(tls.certFile).toBe(admin.enabled ? '/etc/untradex-tls/tls.crt' : null);
  });

  test('hands every value to the operator that it takes', async () => {
    const set = {
      ...{ watchNamespaces: ['exams'], storageClass: 'fast', monitoringNamespaces: ['monitoring'], workers: 7 },
      ...{
        clusterDomain: 'cluster.example',
        networkPolicies: false,
        logLevel: 'debug',
        requestsPerSecond: 50,
        verifiedLingerSeconds: 9,
      },
      ...{ 'leaderElection.leaseSeconds': 20, pullSecrets: ['registry'], redisImage: 'redis:8' },
      ...{ 'image.tag': '1.2.3', 'image.pullPolicy': 'Always' },
    };
    const [map] = ofKind(await render(set), 'ConfigMap');
    expect(readOperatorConfig(map!.data['operator.yaml'])).toMatchObject({
      ...{ watchNamespaces: ['exams'], storageClass: 'fast', monitoringNamespaces: ['monitoring'], workers: 7 },
      ...{
        clusterDomain: 'cluster.example',
        networkPolicies: false,
        logLevel: 'debug',
        requestsPerSecond: 50,
        verifiedLingerSeconds: 9,
      },
      images: {
        ...{ untradex: 'localhost/untradex:1.2.3', redis: 'redis:8' },
        ...{ pullPolicy: 'Always', pullSecrets: ['registry'] },
      },
      operator: {
        namespace: releaseNamespace,
        podLabels: { 'app.kubernetes.io/name': 'untradex-operator', 'app.kubernetes.io/instance': release },
      },
      leaderElection: { name: 'untradex-operator', leaseSeconds: 20 },
      ops: { port: 9090 },
    });
    const [plain] = ofKind(await render(), 'ConfigMap');
    expect(readOperatorConfig(plain!.data['operator.yaml'])).toMatchObject({ storageClass: null, watchNamespaces: [] });
  });
});

test('the admin API brings the rights that it needs, a port and its certificate', async () => {
  const rulesOf = (manifests: Manifest[]) =>
    ofKind(manifests, 'ClusterRole')
      .filter(isOfOperator)
      .flatMap(({ rules }) => rules);
  const isOfOperator = ({ metadata }: Manifest) => metadata.name.startsWith('untradex-operator');
  const more = [
    { apiGroups: ['untradex.io'], resources: ['examsessions/finalize'], verbs: ['update'] },
    { apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] },
    { apiGroups: ['authorization.k8s.io'], resources: ['subjectaccessreviews'], verbs: ['create'] },
  ];
  const withApi = await render({ 'adminApi.enabled': true, 'adminApi.tlsSecret': 'admin-tls' });
  const plain = rulesOf(await render());
  expect(rulesOf(withApi)).toEqual(expect.arrayContaining([...plain, ...more]));
  expect(rulesOf(withApi)).toHaveLength(plain.length + more.length);
  const { containers, volumes } = ofKind(withApi, 'Deployment')[0]!.spec.template.spec;
  expect(containers[0].ports).toContainEqual({ name: 'admin', containerPort: 8443, protocol: 'TCP' });
  expect(volumes).toContainEqual({ name: 'tls', secret: { secretName: 'admin-tls' } });
});

describe('the values', () => {
  const leaves = leavesOf(values);

  test('are all commented', () => {
    const lines = readFileSync(`${chartFolder}/values.yaml`, 'utf8').split('\n');
    for (const [index, line] of lines.entries()) {
      if (!/^[a-zA-Z]\w*:/.test(line) || line.startsWith('fullnameOverride')) continue;
      const inside = lines.slice(index + 1, index + 3).some((next) => /^ {2}#/.test(next));
      expect(lines[index - 1]!.startsWith('#') || inside || placeValues.test(line), line).toBe(true);
    }
  });

  test('and the schema know the same fields', () => {
    const known = leavesOf(schema.properties, (node) => node.properties as Record<string, unknown> | undefined);
    const isIn = (path: string, all: readonly string[]) =>
      all.some((other) => other === path || other.startsWith(`${path}.`) || path.startsWith(`${other}.`));
    expect(leaves.filter((leaf) => !isIn(leaf, known))).toEqual([]);
    expect(known.filter((path) => path !== 'global' && !isIn(path, leaves))).toEqual([]);
  });

  test.each([
    ['replicaCount', '"two"', '/replicaCount'],
    ['replicaCount', '-1', '/replicaCount'],
    ['replicas', '2', "'replicas'"],
    ['image.tag', '1', '/image/tag'],
    ['image.tag', '"a b"', '/image/tag'],
    ['image.digest', '"sha256:abc"', '/image/digest'],
    ['image.repository', '""', '/image/repository'],
    ['image.pullPolicy', '"Sometimes"', '/image/pullPolicy'],
    ['image.registry', '"example.edu"', "'registry'"],
    ['redisImage', '{"repository": "redis"}', '/redisImage'],
    ['pullSecrets', '[{"name": "registry"}]', '/pullSecrets/0'],
    ['watchNamespaces', '"exams"', '/watchNamespaces'],
    ['watchNamespaces', '["Exams"]', '/watchNamespaces/0'],
    ['watchNamespaces', '["exams", "exams"]', '/watchNamespaces'],
    ['storageClass', '"Fast SSD"', '/storageClass'],
    ['networkPolicies', '"yes"', '/networkPolicies'],
    ['logLevel', '"verbose"', '/logLevel'],
    ['workers', '0', '/workers'],
    ['leaderElection.leaseSeconds', '1', '/leaderElection/leaseSeconds'],
    ['resources.limit', '{}', "'limit'"],
    ['resources.limits.memory', '"1GB"', '/resources/limits/memory'],
    ['tolerations', '[{"key": "a", "effect": "Never"}]', '/tolerations/0/effect'],
    ['affinity', '{"nodeAfinity": {}}', "'nodeAfinity'"],
    ['admissionPolicies.delete', 'false', "'delete'"],
    ['networkPolicy.from', '[{}]', '/networkPolicy/from/0'],
    ['metrics.podMonitor.interval', '15', '/metrics/podMonitor/interval'],
    ['adminApi.enabled', 'true', '/adminApi/tlsSecret'],
    ['nodeSelector', '{"a": 1}', '/nodeSelector/a'],
  ])('refuses a wrong %s: %s', async (name, value, says) => {
    const { code, stderr } = await helm('template', release, chartFolder, '--set-json', `${name}=${value}`);
    expect(code).toBe(1);
    expect(stderr).toContain("values don't meet the specifications of the schema");
    expect(stderr).toContain(says);
  });
});

/** Whose names say it all, below a heading of their own. */
const placeValues = /^(nodeSelector|tolerations|affinity|podAnnotations|podLabels|resources|fullnameOverride):/;

function leavesOf(
  part: Record<string, unknown>,
  into = (node: Record<string, unknown>): Record<string, unknown> | undefined => node,
): string[] {
  return Object.entries(part).flatMap(([name, node]) => {
    const isMap = typeof node === 'object' && node !== null && !Array.isArray(node);
    const inner = isMap ? into(node as Record<string, unknown>) : undefined;
    if (inner === undefined || Object.keys(inner).length === 0) return [name];
    return leavesOf(inner, into).map((leaf) => `${name}.${leaf}`);
  });
}

describe('alerts', () => {
  const metricFiles = ['operator/kubernetes/runtime/metrics.ts', 'gateway/metrics.ts'];
  const sources = metricFiles.map((file) => readFileSync(file, 'utf8')).join('\n');

  test('are on figures that exist, and each says what to do and where to read more', async () => {
    const set = { ...everything, 'metrics.prometheusRule.runbookUrl': 'https://example.edu/runbooks' };
    const [rule] = ofKind(await render(set), 'PrometheusRule');
    const { rules } = rule!.spec.groups[0];
    expect(rules.length).toBeGreaterThan(10);
    for (const { alert, expr, labels, annotations } of rules) {
      expect(alert).toMatch(/^Untradex[A-Z]/);
      expect(labels.severity, alert).toBeOneOf(['critical', 'warning']);
      expect(annotations.summary.length, alert).toBeGreaterThan(20);
      expect(annotations.description.length, alert).toBeGreaterThan(60);
      expect(annotations.runbook_url).toBe(`https://example.edu/runbooks#${alert.toLowerCase()}`);
      expect(expr).not.toContain('SELF');
      for (const [name] of expr.matchAll(/untradex_(?:operator|gateway)_\w+/g)) expect(isMade(name), name).toBe(true);
    }
  });

  /** Names of the operator are made of a prefix and, for some, the noun. */
  function isMade(name: string): boolean {
    const short = name.replace('untradex_operator_', '');
    const made = sources.replaceAll(/\$\{prefix\}/g, '').replaceAll(/\$\{noun\}/g, 'sessions');
    return (
      made.includes(`'${name}'`) ||
      ["'", '`'].some((quote) => made.includes(`${quote}${short}${quote}`)) ||
      short === 'sessions'
    );
  }
});

describe('on an API server', () => {
  let cluster: TestApiServer;

  beforeAll(async () => {
    cluster = await startApiServer();
    const yaml = otherDefinitions.map((definition) => stringify(definition)).join('---\n');
    const made = await cluster.kubectl(
      ['apply', '--server-side', '-f', 'crds/examsessions.untradex.io.yaml', '-f', '-'],
      yaml,
    );
    expect(made.code, made.stderr).toBe(0);
    const restricted = { 'pod-security.kubernetes.io/enforce': 'restricted' };
    for (const name of [releaseNamespace, 'exams-a', 'exams-b', 'exams-c']) {
      const body = { metadata: { name, labels: restricted } };
      expect(await cluster.call('POST', '/api/v1/namespaces', { body })).toMatchObject({ status: 201 });
    }
    const served = async () => (await cluster.kubectl(['get', 'podmonitors,httproutes,exam', '-A'])).code === 0;
    await until(served, { what: 'the new resources', timeoutMs: 30_000 });
  });

  test.each(variants)('is taken whole with $title', async ({ set }) => {
    const yaml = (await render(set)).map((manifest) => stringify(manifest)).join('---\n');
    const how = ['apply', '--server-side', '--force-conflicts', '--dry-run=server', '--validate=strict', '-f', '-'];
    const { code, stderr } = await cluster.kubectl(how, yaml);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  test('all pods fit the restricted profile', async () => {
    const manifests = await render(everything);
    const templates = [...ofKind(manifests, 'Deployment'), ...ofKind(manifests, 'Job')].map(
      ({ spec }) => spec.template,
    );
    const pods = [...templates, ...ofKind(manifests, 'Pod')].map(({ spec }, index) => ({
      metadata: { name: `p${index}` },
      spec,
    }));
    expect(pods).toHaveLength(3);
    for (const body of pods) {
      const reply = await cluster.call('POST', `/api/v1/namespaces/${releaseNamespace}/pods?dryRun=All`, { body });
      expect(reply.status, String(reply.body.message)).toBe(201);
      for (const container of body.spec.containers) {
        expect(container.securityContext.readOnlyRootFilesystem).toBe(true);
        expect(container.resources).toMatchObject({
          requests: { cpu: expect.anything() },
          limits: { memory: expect.anything() },
        });
      }
    }
  });

  test('satisfies kubeconform, by the schemas of the API server', async () => {
    const location = await writeSchemas(cluster);
    const { kubeconform: path } = findKubernetes(process.env, ['kubeconform'])!;
    const file = join(tmpFolder('chart'), 'chart.yaml');
    const check = async (manifests: readonly Manifest[]) => {
      writeFileSync(file, manifests.map((manifest) => stringify(manifest)).join('---\n'));
      const program = startProgram({ argv: [path, '-strict', '-summary', '-schema-location', location, file] });
      const { code } = await program.ended(60_000);
      return { code, told: `${program.stdout}${program.stderr}` };
    };
    // Of the monitoring kinds this API server knows no schema, only that they are there.
    const rendered = (await Promise.all(variants.map(({ set }) => render(set)))).flat();
    const manifests = rendered.filter(({ apiVersion }) => !apiVersion.startsWith('monitoring'));
    const { code, told } = await check(manifests);
    expect(code, told).toBe(0);
    expect(told).toContain(`Valid: ${manifests.length}`);
    const [deployment] = ofKind(manifests, 'Deployment');
    for (const wrong of [{ replicas: 'two' }, { replica: 2 }])
      expect(await check([{ ...deployment!, spec: { ...deployment!.spec, ...wrong } }])).toMatchObject({ code: 1 });
  });

  test('satisfies kube-score', async () => {
    const file = join(tmpFolder('chart'), 'chart.yaml');
    const manifests = (await render(everything)).filter(({ apiVersion }) => !apiVersion.startsWith('monitoring'));
    writeFileSync(file, manifests.map((manifest) => stringify(manifest)).join('---\n'));
    // A throttled leader loses its Lease, tags are never moved, and topology spread does what anti-affinity did.
    const not = [
      '--ignore-container-cpu-limit',
      '--ignore-test',
      'container-image-pull-policy,deployment-has-host-podantiaffinity',
    ];
    const { 'kube-score': path } = findKubernetes(process.env, ['kube-score'])!;
    const program = startProgram({
      argv: [path, 'score', '--exit-one-on-warning', '--output-format', 'ci', ...not, file],
    });
    const { code } = await program.ended(30_000);
    expect(code, program.stdout).toBe(0);
    expect(program.stdout).toContain('[OK] untradex-operator');
  });
});
