import type { WrongSession } from './wrongsessions.ts';

/** Wrong wishes for what only a cluster has: hosts, Secrets, volumes, pods. */

const closesAt = '2026-05-04T09:00:00Z';
const postgres = { host: 'db.example.edu', database: 'exams', user: 'exporter' };
const manyLabels = Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`label-${n}`, 'x']));

/** A value at a dotted path of the spec. */
function at(path: string, value: unknown): Record<string, unknown> {
  return path.split('.').reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as Record<string, unknown>;
}

function wrong(path: string, value: unknown, how: string, ...says: string[]): WrongSession {
  return { title: `${path} ${how}`, spec: at(path, value), says: [`spec.${path}`, ...says] };
}

/** Names of objects. `beside`: what the field needs. */
function wrongNames(path: string, beside: Record<string, unknown> = {}): WrongSession[] {
  const field = path.split('.').at(-1)!;
  const parent = path.split('.').slice(0, -1).join('.');
  const spec = (value: unknown) => at(parent, { ...beside, [field]: value });
  return [
    { title: `${path} with capitals`, spec: spec('Name'), says: [`spec.${path}`, 'should match'] },
    { title: `${path} with an empty part`, spec: spec('a..b'), says: [`spec.${path}`, 'should match'] },
    { title: `${path} without a letter`, spec: spec(''), says: [`spec.${path}`, 'should match'] },
    { title: `${path} that is long`, spec: spec('a'.repeat(254)), says: [`spec.${path}`, '253'] },
    { title: `${path} that is a number`, spec: spec(1), says: [`spec.${path}`, 'must be of type string'] },
  ];
}

const cpuFields = ['gateway.resources.cpu', 'redis.resources.cpu', 'export.resources.cpu'];
const byteFields = [
  ...['gateway.resources.memory', 'redis.resources.memory', 'export.resources.memory'],
  ...['redis.storage', 'export.volume.storage'],
];

const wrongAmounts: readonly WrongSession[] = [...cpuFields, ...byteFields].flatMap((path) => [
  wrong(path, 'much', 'in words', 'should match'),
  wrong(path, '0', 'that is nothing', 'should match'),
  wrong(path, '-1', 'below nothing', 'should match'),
  wrong(path, '1 Gi', 'with a blank', 'should match'),
  wrong(path, 0, 'of 0 as a number', 'greater than or equal to 1'),
  wrong(path, 1.5, 'with a fraction as a number'),
  wrong(path, true, 'that is true'),
]);

const pods = ['gateway.pod', 'redis.pod', 'export.pod'];

const wrongPods: readonly WrongSession[] = pods.flatMap((pod) => [
  ...['nodeSelector', 'labels', 'annotations'].flatMap((map) => [
    wrong(`${pod}.${map}`, { '-a': 'x' }, 'with a key that is none', 'with keys as labels have them'),
    wrong(`${pod}.${map}`, { '': 'x' }, 'with an empty key', 'with keys as labels have them'),
    wrong(`${pod}.${map}`, { 'A_b/c': 'x' }, 'with a key of a domain that is none', 'with keys as labels have them'),
    wrong(`${pod}.${map}`, manyLabels, 'with 65 entries', 'must have at most 64'),
    wrong(`${pod}.${map}`, { a: 1 }, 'with a number', 'must be of type string'),
    wrong(`${pod}.${map}`, 'a=b', 'that is a text', 'must be of type object'),
  ]),
  wrong(`${pod}.labels`, { a: 'x y' }, 'with a value that is none', 'should match'),
  wrong(`${pod}.labels`, { a: 'x'.repeat(64) }, 'with a long value', '63'),
  wrong(`${pod}.annotations`, { a: 'x'.repeat(4_097) }, 'with a long value', '4096'),
  wrong(`${pod}.tolerations`, [{ operator: 'Like' }], 'by an operator that is none', '"Exists", "Equal"'),
  wrong(`${pod}.tolerations`, [{ effect: 'Evict' }], 'of an effect that is none', '"NoSchedule"'),
  wrong(`${pod}.tolerations`, [{ key: 'a b' }], 'of a key with a blank', 'should match'),
  wrong(`${pod}.tolerations`, [{ tolerationSeconds: -1 }], 'for less than no time', 'greater than or equal to 0'),
  wrong(`${pod}.tolerations`, Array(33).fill({ key: 'a' }), '33 times', 'at most 32 items'),
  { title: `${pod} with affinity to what is not known`, spec: at(`${pod}.affinity`, { near: {} }), says: ['near'] },
  wrong(`${pod}.affinity`, { nodeAffinity: [] }, 'that is a list', 'must be of type object'),
  { title: `${pod} with a field that is not known`, spec: at(pod, { hostNetwork: true }), says: ['hostNetwork'] },
  ...wrongNames(`${pod}.priorityClassName`),
]);

const host = 'exam.example.edu';

const wrongAccess: readonly WrongSession[] = [
  wrong('access.host', 'https://exam.example.edu', 'that is a URL', 'should match'),
  wrong('access.host', 'exam.example.edu:443', 'with a port', 'should match'),
  wrong('access.host', '*.example.edu', 'that is many', 'should match'),
  wrong('access.host', '192.0.2.7', 'that is an address', 'should match'),
  wrong('access.host', 'Exam.example.edu', 'with capitals', 'should match'),
  wrong('access.host', `${'a.'.repeat(126)}aa`, 'that is long', '253'),
  ...wrongNames('access.tlsSecret', { host }),
  ...wrongNames('access.ingressClass', { host }),
  {
    title: 'a Gateway without a name',
    spec: { access: { host, gateway: {} } },
    says: ['spec.access.gateway.name: Required value'],
  },
  {
    title: 'a Gateway in a namespace with a dot',
    spec: { access: { host, gateway: { name: 'public', namespace: 'a.b' } } },
    says: ['spec.access.gateway.namespace', 'should match'],
  },
  ...[{ tlsSecret: 'a' }, { ingressClass: 'a' }, { gateway: { name: 'a' } }].map((access) => ({
    title: `${Object.keys(access)[0]} without a host`,
    spec: { access },
    says: ['spec.access.host is needed for tlsSecret, ingressClass and gateway'],
  })),
  {
    title: 'an Ingress and a Gateway',
    spec: { access: { host, ingressClass: 'a', gateway: { name: 'b' } } },
    says: ['spec.access.ingressClass is of an Ingress'],
  },
  {
    title: "an Ingress's certificate and a Gateway",
    spec: { access: { host, tlsSecret: 'a', gateway: { name: 'b' } } },
    says: ['spec.access.tlsSecret is of an Ingress'],
  },
];

const wrongGateways: readonly WrongSession[] = [
  ...[{ minReplicas: 2 }, { maxReplicas: 2 }, { autoscale: true }].map((gateway) => ({
    title: `gateways, exactly, and ${Object.keys(gateway)[0]}`,
    spec: { gateway: { replicas: 3, ...gateway } },
    says: ['spec.gateway.replicas leaves nothing to choose'],
  })),
  {
    title: 'fewer gateways at most than at least',
    spec: { gateway: { minReplicas: 3, maxReplicas: 2 } },
    says: ['spec.gateway.maxReplicas must not be less than minReplicas'],
  },
  wrong('gateway.autoscale', 'yes', 'as a word', 'must be of type boolean'),
];

const wrongSources: readonly WrongSession[] = [
  {
    title: 'a roster in a file and in a ConfigMap',
    spec: { closesAt, roster: { file: 'extra.csv', configMap: { name: 'extra' } } },
    says: ['spec.roster takes one of file and configMap'],
  },
  {
    title: 'a roster in a ConfigMap without a name',
    spec: { closesAt, roster: { configMap: { key: 'roster.csv' } } },
    says: ['spec.roster.configMap.name: Required value'],
  },
  {
    title: 'a roster in a key with a slash',
    spec: { closesAt, roster: { configMap: { name: 'extra', key: 'a/b' } } },
    says: ['spec.roster.configMap.key', 'should match'],
  },
  {
    title: 'a signing key from a Secret and from a URL',
    spec: { auth: { secretRef: { name: 'key' }, jwksUrl: 'https://id.example.edu/jwks' } },
    says: ['spec.auth takes one of secretRef and jwksUrl'],
  },
  wrong('auth.secretRef', { key: 'token.key' }, 'without a name', 'spec.auth.secretRef.name: Required value'),
  wrong('auth.secretRef', { name: 'a', key: '' }, 'with an empty key', 'spec.auth.secretRef.key', 'should match'),
];

const server = ({ user, ...fields }: Record<string, unknown>) => ({
  export: { postgres: { ...postgres, ...(user === null ? { user: undefined } : {}), ...fields } },
});
const secret = { credentialsSecret: 'database' };

const wrongExports: readonly WrongSession[] = [
  {
    title: 'a PostgreSQL server for nobody',
    spec: server({ user: null }),
    says: ['spec.export.postgres.user is needed'],
  },
  ...[
    { passwordFile: 'password' },
    ...['caFile', 'certFile', 'keyFile'].map((file) => ({ tls: { [file]: 'file.pem' } })),
  ].map((files) => ({
    title: `a Secret and ${JSON.stringify(files)}`,
    spec: server({ ...secret, ...files }),
    says: ['spec.export.postgres.credentialsSecret holds what passwordFile and the files of tls hold'],
  })),
  ...wrongNames('export.postgres.credentialsSecret', postgres),
  ...wrongNames('export.volume.storageClass'),
  ...wrongNames('redis.storageClass'),
  ...['0h', '72', '72 h', '1.5d', '100000d', '1w', '1h30m', ''].map((text) =>
    wrong('export.keepQueueFor', text, `of "${text}"`, 'should match'),
  ),
  wrong('export.keepQueueFor', 72, 'as a number', 'must be of type string'),
  { title: 'an unknown field of a volume', spec: { export: { volume: { size: '1Gi' } } }, says: ['volume.size'] },
];

export const wrongOnCluster: readonly WrongSession[] = [
  ...wrongAmounts,
  ...wrongPods,
  ...wrongAccess,
  ...wrongGateways,
  ...wrongSources,
  ...wrongExports,
];
