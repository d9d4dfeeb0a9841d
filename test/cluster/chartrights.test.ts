import { beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { startApiServer, type TestApiServer } from '#test/support/apiserver.ts';
import { until } from '#test/support/until.ts';
import { type Manifest, ofKind, releaseNamespace, render } from './helm.ts';

const namespaced = { watchNamespaces: ['exams-a', 'exams-b'] };

/** What the operator does with the API, by API group, resource and verbs. */
const followed = ['get', 'list', 'watch'];
const inSessions: readonly (readonly [group: string, resource: string, verbs: readonly string[]])[] = [
  ['untradex.io', 'examsessions', [...followed, 'patch']],
  ['untradex.io', 'examsessions/status', ['patch']],
  ['untradex.io', 'examsessions/finalizers', ['update']],
  ['', 'configmaps', ['get', 'list', 'create', 'patch', 'update', 'delete']],
  ['', 'secrets', ['get', 'create', 'update']],
  ['', 'services', ['get', 'create', 'patch', 'delete']],
  ['', 'serviceaccounts', ['get', 'create', 'patch', 'delete']],
  ['', 'pods', ['list', 'watch', 'delete']],
  ['', 'persistentvolumeclaims', [...followed, 'create', 'patch', 'delete']],
  ['apps', 'statefulsets', [...followed, 'create', 'update', 'delete']],
  ['apps', 'deployments', [...followed, 'create', 'patch', 'delete']],
  ['batch', 'jobs', [...followed, 'create', 'delete']],
  ['policy', 'poddisruptionbudgets', ['get', 'create', 'patch', 'delete']],
  ['networking.k8s.io', 'ingresses', ['get', 'create', 'patch', 'delete']],
  ['networking.k8s.io', 'networkpolicies', ['get', 'create', 'patch']],
  ['gateway.networking.k8s.io', 'httproutes', ['get', 'create', 'patch', 'delete']],
  ['autoscaling', 'horizontalpodautoscalers', ['get', 'create', 'patch', 'delete']],
  ['events.k8s.io', 'events', ['create', 'patch']],
];
const never: readonly (readonly [group: string, resource: string, verb: string])[] = [
  ...(['list', 'watch', 'deletecollection'] as const).map((verb) => ['', 'secrets', verb] as const),
  ...([
    ['', 'nodes', 'list'],
    ['', 'nodes', 'get'],
    ['', 'namespaces', 'list'],
    ['', 'persistentvolumes', 'get'],
  ] as const),
  ...([
    ['', 'pods', 'create'],
    ['', 'pods/exec', 'create'],
    ['', 'pods/log', 'get'],
    ['', 'serviceaccounts/token', 'create'],
  ] as const),
  ...([
    ['untradex.io', 'examsessions', 'delete'],
    ['untradex.io', 'examsessions', 'create'],
  ] as const),
  ...([
    ['untradex.io', 'examsessions/finalize', 'update'],
    ['authentication.k8s.io', 'tokenreviews', 'create'],
  ] as const),
  ...([
    ['rbac.authorization.k8s.io', 'rolebindings', 'create'],
    ['rbac.authorization.k8s.io', 'roles', 'escalate'],
  ] as const),
  ...([
    ['apiextensions.k8s.io', 'customresourcedefinitions', 'get'],
    ['', 'users', 'impersonate'],
  ] as const),
  ['admissionregistration.k8s.io', 'validatingadmissionpolicies', 'delete'],
];

describe.each([
  { title: 'in the whole cluster', set: {}, theirs: ['exams-a', 'exams-c'], others: [] },
  {
    title: 'in two namespaces',
    set: namespaced,
    theirs: ['exams-a', 'exams-b'],
    others: ['exams-c', releaseNamespace],
  },
])('rights of the operator $title', ({ set, theirs, others }) => {
  let cluster: TestApiServer;
  let manifests: Manifest[];

  beforeAll(async () => {
    cluster = await startApiServer();
    for (const name of [releaseNamespace, 'exams-a', 'exams-b', 'exams-c'])
      await cluster.call('POST', '/api/v1/namespaces', { body: { metadata: { name } } });
    manifests = (await render(set)).filter(({ kind }) => /^(Cluster)?Role(Binding)?$/.test(kind));
    const applied = await cluster.kubectl(
      ['apply', '-f', '-'],
      manifests.map((manifest) => stringify(manifest)).join('---\n'),
    );
    expect(applied.code, applied.stderr).toBe(0);
    await until(() => may(theirs[0]!, 'untradex.io', 'examsessions', 'get'), { what: 'the rights' });
  });

  async function may(
    namespace: string,
    apiGroup: string,
    resource: string,
    verb: string,
    name?: string,
  ): Promise<boolean> {
    const [plain, subresource] = resource.split('/');
    const resourceAttributes = { namespace, group: apiGroup, resource: plain, subresource, verb, name };
    const user = `system:serviceaccount:${releaseNamespace}:untradex-operator`;
    const groups = ['system:serviceaccounts', `system:serviceaccounts:${releaseNamespace}`, 'system:authenticated'];
    const body = {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      spec: { user, groups, resourceAttributes },
    };
    const reply = await cluster.call('POST', '/apis/authorization.k8s.io/v1/subjectaccessreviews', { body });
    expect(reply.status).toBe(201);
    return (reply.body.status as { allowed: boolean }).allowed;
  }

  test('are what it needs', async () => {
    for (const namespace of theirs)
      for (const [apiGroup, resource, verbs] of inSessions)
        for (const verb of verbs)
          expect(await may(namespace, apiGroup, resource, verb), `${verb} ${resource} in ${namespace}`).toBe(true);
    for (const verb of ['get', 'update'])
      expect(await may(releaseNamespace, 'coordination.k8s.io', 'leases', verb, 'untradex-operator'), verb).toBe(true);
    expect(await may(releaseNamespace, 'coordination.k8s.io', 'leases', 'create')).toBe(true);
  });

  test('are no more than that', async () => {
    for (const namespace of [...theirs, ...others])
      for (const [apiGroup, resource, verb] of never)
        expect(await may(namespace, apiGroup, resource, verb), `${verb} ${resource} in ${namespace}`).toBe(false);
    expect(await may(releaseNamespace, 'coordination.k8s.io', 'leases', 'update', 'another')).toBe(false);
    expect(await may(theirs[0]!, 'coordination.k8s.io', 'leases', 'get', 'untradex-operator')).toBe(false);
    for (const namespace of others)
      for (const [apiGroup, resource, verbs] of inSessions)
        expect(await may(namespace, apiGroup, resource, verbs[0]!), `${resource} in ${namespace}`).toBe(false);
  });

  test('are told by no rule with a star, and by none that is not in the table', () => {
    const role = manifests.find(
      ({ kind, metadata }) => /Role$/.test(kind) && /operator(-sessions)?$/.test(metadata.name),
    )!;
    const granted = role.rules.flatMap(
      ({ apiGroups, resources, verbs }: { apiGroups: string[]; resources: string[]; verbs: string[] }) =>
        apiGroups.flatMap((apiGroup) => resources.map((resource) => `${apiGroup}/${resource}: ${[...verbs].sort()}`)),
    );
    expect(granted.sort()).toEqual(
      inSessions.map(([apiGroup, resource, verbs]) => `${apiGroup}/${resource}: ${[...verbs].sort()}`).sort(),
    );
    if ('watchNamespaces' in set)
      expect(ofKind(manifests, 'ClusterRole').map(({ metadata }) => metadata.name)).not.toContain('untradex-operator');
  });
});
