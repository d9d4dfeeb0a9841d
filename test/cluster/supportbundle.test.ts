import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { labelsOf, objectNames, type SessionRef } from '#operator/kubernetes/names.ts';
import { tmpFolder } from '#test/support/tmp.ts';
import { type Guarded, messageOf, startGuarded } from './guarded.ts';
import { releaseNamespace } from './helm.ts';
import { pluginFor } from './plugin.ts';

/** A support bundle of what an API server knows. Its logs are tried on a whole cluster. */
let guarded: Guarded;
let ref: SessionRef;

/** Whatever of this is in a bundle has leaked. */
const planted = {
  token: Buffer.alloc(32, 91).toString('base64url'),
  pem: `-----BEGIN PRIVATE KEY-----\n${'MC4CAQAwBQYDK2VwBCIEIPlantedPlantedPlanted0123'}\n-----END PRIVATE KEY-----\n`,
  redis: 'planted-redis-password',
  acl: `user gateway on #${'ab12'.repeat(16)} ~* +@all\nuser exporter on >planted-clear-password-of-an-account ~*\n`,
  database: 'planted "quoted" passwörd/of+the=database',
  student: 'planted-student',
};
const leaks = [
  planted.token,
  'MC4CAQAwBQYDK2VwBCIEIPlantedPlantedPlanted0123',
  planted.redis,
  'ab12'.repeat(16),
  'planted-clear-password-of-an-account',
  planted.database,
  'quoted\\" passw',
  encodeURIComponent(planted.database),
  planted.student,
  ...['planted-in-a-variable', 'hunter2hunter2', 'eyJhbGci'],
  ...Object.values(planted).map((text) => Buffer.from(text).toString('base64')),
];

beforeAll(async () => {
  guarded = await startGuarded({}, { users: ['viewer'] });
  await guarded.bind('viewer', 'untradex-view');
  await guarded.makeNamespace('maths');
  const spec = { export: { postgres: { host: 'db', database: 'exams', credentialsSecret: 'database' } } };
  const uid = await guarded.make('maths', 'algebra', { spec });
  ref = { namespace: 'maths', name: 'algebra', uid };
  await plantSecrets();
  await plantLeaks();
});

async function create(path: string, body: object): Promise<void> {
  const made = await guarded.cluster.call('POST', path, { body });
  expect(made, messageOf(made)).toMatchObject({ status: 201 });
}

async function plantSecrets(): Promise<void> {
  const { secrets } = objectNames(ref);
  const values: Record<string, Record<string, string>> = {
    [secrets.gateway]: { 'token.key': planted.token, 'receipt.pem': planted.pem },
    [secrets.operator]: { 'redis-password': planted.redis },
    [secrets.redis]: { 'users.acl': planted.acl },
    database: { username: 'untradex', password: planted.database },
  };
  for (const [name, stringData] of Object.entries(values)) {
    await create('/api/v1/namespaces/maths/secrets', { metadata: { name }, stringData });
  }
}

/** Where secrets should never be, and somebody put them all the same. */
async function plantLeaks(): Promise<void> {
  const { base } = objectNames(ref);
  const labels = labelsOf(ref, 'gateway');
  const { student, ...secrets } = planted;
  const everything = Object.values(secrets);
  const said = [...everything, ...everything.map((text) => Buffer.from(text).toString('base64'))].join(' ');
  const data = { 'gateway.json': JSON.stringify({ keys: everything }), 'roster.csv': student };
  await create('/api/v1/namespaces/maths/configmaps', {
    metadata: { name: `${base}-x`, labels, annotations: { said } },
    data: { ...data, url: `redis://gateway:hunter2hunter2@host/ and ${encodeURIComponent(planted.database)}` },
    binaryData: { 'roster.csv.gz': Buffer.from(student).toString('base64') },
  });
  const env = [{ name: 'PASSWORD', value: 'planted-in-a-variable' }];
  const containers = [{ name: 'gateway', image: 'localhost/untradex:1', env }];
  await create('/api/v1/namespaces/maths/pods', {
    metadata: { name: `${base}-gateway-1`, labels },
    spec: { containers },
  });
  const message = `refused ${everything.join(' ')} eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl`;
  const event = (name: string, about: object) =>
    create('/api/v1/namespaces/maths/events', {
      ...{ metadata: { name }, reason: 'Failed', message, type: 'Warning' },
      involvedObject: { kind: 'Pod', namespace: 'maths', ...about },
    });
  await event('of-the-session', { name: `${base}-gateway-gone` });
  await event('of-somebody-else', { name: 'biology-gateway' });
}

function filesIn(folder: string): Record<string, string> {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = names.map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(paths.map((path) => [path.slice(folder.length + 1), readFileSync(path, 'utf8')]));
}

test('a bundle tells what is there, and none of the secrets, wherever they stand', async () => {
  const folder = join(tmpFolder('bundle'), 'bundle');
  const plugin = pluginFor(guarded.cluster.kubeconfig);
  const { code, stdout, stderr } = await plugin.run('support-bundle', 'algebra', '-n', 'maths', '-o', folder);
  expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining(folder) });
  expect(stderr).toContain('see not-included.txt');
  const files = filesIn(folder);
  const all = Object.values(files).join('\n');
  expect(leaks.filter((leak) => all.includes(leak))).toEqual([]);

  const secrets = parse(files['secrets.yaml']!) as { name: string; keys: string[] | null }[];
  expect(secrets.find(({ name }) => name === 'database')).toEqual({ name: 'database', keys: ['password', 'username'] });
  expect(parse(files['session.yaml']!)).toMatchObject({ kind: 'ExamSession', metadata: { name: 'algebra' } });
  expect(files['configmaps.yaml']).toContain(`(secret ${objectNames(ref).secrets.gateway} token.key)`);
  expect(files['configmaps.yaml']).toContain('redis://gateway:(password)@host/');
  expect(files['pods.yaml']).toContain('localhost/untradex:1');
  expect(files['events.yaml']).toContain('of-the-session');
  expect(files['events.yaml']).not.toContain('of-somebody-else');
  expect(files['operator/deployments.yaml']).toContain('untradex-operator');
  expect(files[`operator/${releaseNamespace}/configmaps.yaml`]).toContain('operator.yaml');
  expect(files['about.txt']).toContain(ref.uid);
  expect(files['not-included.txt']).toContain(`keys of the Secret ${objectNames(ref).secrets.exporter}: there is none`);
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  expect(statSync(join(folder, 'session.yaml')).mode & 0o777).toBe(0o600);
});

test('who may read little gets little, and is told of the rest; a folder with something in it is left alone', async () => {
  const folder = join(tmpFolder('bundle'), 'bundle');
  const viewer = pluginFor(guarded.cluster.kubeconfigOf('viewer'));
  const args = ['support', 'algebra', '-n', 'maths', '-o', folder];
  expect(await viewer.run(...args)).toMatchObject({ code: 0 });
  const files = filesIn(folder);
  expect(Object.keys(files).sort()).toEqual(['about.txt', 'not-included.txt', 'secrets.yaml', 'session.yaml']);
  const told = files['not-included.txt']!;
  for (const what of ['pods', 'configmaps', 'events', 'nodes', 'operator'])
    expect(told).toMatch(new RegExp(`^${what}: `, 'm'));
  expect(told).toContain('keys of the Secret database: it may not be read');
  expect(told).toContain('{apiGroups: [""], resources: ["pods"], verbs: ["list"]}');
  expect(await viewer.run(...args)).toMatchObject({ code: 65, stderr: expect.stringContaining('folder_in_use: ') });
});
