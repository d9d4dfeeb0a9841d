import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { sessionOf } from '#crds/page.ts';
import { examSessionCrd, type SchemaNode } from '#operator/crd.ts';
import { readExamSession } from '#operator/examsession.ts';
import { isProblem } from '#queue/problem.ts';
import { startApiServer, type TestApiServer } from '#test/support/apiserver.ts';
import { until } from '#test/support/until.ts';
import { wrongSessions } from './wrongsessions.ts';

/**
 * The same documents through `readExamSession` and through the API server: both take it, or both refuse it. Left out,
 * because they differ there on purpose: null, which the API server drops, and metadata beside the name.
 */
const sessions = '/apis/untradex.io/v1alpha1/namespaces/default/examsessions';
const crd = examSessionCrd();
const specNode = crd.spec.versions[0]!.schema.openAPIV3Schema.properties!.spec!;

let cluster: TestApiServer;

beforeAll(async () => {
  cluster = await startApiServer();
  await cluster.call('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', { body: crd });
  await until(async () => (await cluster.call('GET', sessions)).status === 200, { what: 'the new resource' });
});

/** Why it is refused; null when it is taken. */
async function judgedByServer(session: object): Promise<string | null> {
  const path = `${sessions}?fieldValidation=Strict&dryRun=All`;
  const { status, body } = await cluster.call('POST', path, { body: session });
  if (status === 201) return null;
  expect(status, String(body.message)).toBeOneOf([400, 422]);
  return String(body.message);
}

function judgedHere(session: object): string | null {
  try {
    readExamSession(JSON.stringify(session));
    return null;
  } catch (error) {
    if (isProblem(error) && error.code === 'session_invalid') return error.message;
    throw error;
  }
}

async function expectAgreement(session: object): Promise<'taken' | 'refused'> {
  const [there, here] = [await judgedByServer(session), judgedHere(session)];
  const said = `the API server: ${there ?? 'taken'}\nhere: ${here ?? 'taken'}\n${JSON.stringify(session)}`;
  expect(here === null, said).toBe(there === null);
  return here === null ? 'taken' : 'refused';
}

const texts = [
  ...['A', 'Algebra I', 'Ärzte 2', '数学', 'EXAM_1', '', ' x', '-x', 'a\nb', 'x'.repeat(100), 'x'.repeat(128), 'é'],
  ...['X'.repeat(101), 'x'.repeat(129), 'x'.repeat(512), 'x'.repeat(513), '1A', '_A', 'a.csv', '../a.csv', '.csv'],
  ...['https://a', 'http://exam.example.edu:8080', 'https://a/b', 'https://a b', 'https://ä', 'https://a\u00a0b', '*'],
  ...[
    'exam.example.edu',
    'a-b',
    'a.b',
    'A.b',
    'a..b',
    '1.2.3.4',
    'a-',
    'a/b',
    'a.b/C_d',
    '-a',
    'a_b',
    '72h',
    '14d',
    '0h',
  ],
  ...['**', 'ftp://a', 'HTTPS://a', 'A\u2028', 'A\n', 'a\u00a0b', 'true', '1', 'null', '٣', 'Ⅷ', 'a\u0301'],
];
const amounts: unknown[] = [
  ...['500m', '2', '1.5', '0.5', '0.05', '10Gi', '1.5Gi', '1e9', '512Mi', '2000000k', '9999', '10000'],
  ...['0', '0.0', '-1', '+1', '10 Gi', '10gi', '10G', '1E3', '1e12', '.5', '5.', '01', '1n', '1Ei', '1.2345', 'Gi', ''],
  ...[1, 2, 9_999, 10_000, 1_073_741_824, 999_999_999_999, 1e12, 0, -1, 0.5, 1e21],
];
const times = [
  ...['2026-05-04T09:00:00Z', '2026-05-04T09:00:00.000Z', '2026-05-04T11:00:00+02:00', '2026-05-04T09:00:00.001Z'],
  ...['2026-12-31T23:59:59-11:30', '9999-12-31T23:59:59Z', '1000-01-01T00:00:00Z', '2028-02-29T00:00:00Z'],
];
const noTimes = [
  ...['2026-05-04', '2026-05-04T09:00:00', '2026-02-29T09:00:00Z', '2026-05-04T24:00:00Z', '2026-05-04T09:00:60Z'],
  ...['2026-05-04t09:00:00z', '0000-01-01T00:00:00Z', '0999-01-01T00:00:00Z', '2026-05-04T09:00:00x5Z', 'tomorrow', ''],
  ...['2026-05-04T09:00:00,5Z', '2026-05-04T09:00:00+24:00', '2026-05-04T09:00:00+2:00', '2026-13-01T00:00:00Z'],
];
const otherTypes: unknown[] = ['many', '', 3, 0, -1, 1.5, true, false, [], {}, ['a'], { a: 1 }, 1e15, '5'];

/** Values that a node takes, for the most part, and now and then one that it does not. */
function valuesOf(node: SchemaNode): fc.Arbitrary<unknown> {
  return fc.oneof(
    { weight: 1_000, arbitrary: rightValuesOf(node) },
    { weight: 1, arbitrary: wrongValuesOf(node) },
    { weight: 1, arbitrary: fc.constantFrom(...otherTypes) },
  );
}

function rightValuesOf(node: SchemaNode): fc.Arbitrary<unknown> {
  const { minimum = -5, maximum = 1_000_000, maxItems = 3, pattern } = node;
  if (node.enum !== undefined) return fc.constantFrom(...node.enum);
  if (node.format === 'date-time') return fc.constantFrom(...times);
  if (node['x-kubernetes-int-or-string']) return fc.constantFrom(...amounts.filter((amount) => isAmount(node, amount)));
  if (pattern !== undefined) {
    const fits = (text: string) => new RegExp(pattern, 'u').test(text) && text.length <= (node.maxLength ?? Infinity);
    return fc.constantFrom(...texts.filter(fits));
  }
  switch (node.type) {
    case 'integer':
      return fc.oneof(fc.constantFrom(minimum, maximum), fc.integer({ min: minimum, max: maximum }));
    case 'boolean':
      return fc.boolean();
    case 'array':
      return fc.array(valuesOf(node.items!), { maxLength: Math.min(maxItems, 3) });
    case 'object':
      return objectsOf(node);
    default:
      return fc.constantFrom('a', 'x'.repeat(node.maxLength ?? 10));
  }
}

function isAmount({ pattern, maximum }: SchemaNode, amount: unknown): boolean {
  if (typeof amount === 'string') return new RegExp(pattern!).test(amount);
  return Number.isInteger(amount) && (amount as number) >= 1 && (amount as number) <= maximum!;
}

function wrongValuesOf(node: SchemaNode): fc.Arbitrary<unknown> {
  if (node.enum !== undefined) return fc.constantFrom('', 'x', String(node.enum[0]).toLowerCase());
  if (node.format === 'date-time') return fc.constantFrom(...noTimes);
  if (node['x-kubernetes-int-or-string']) return fc.constantFrom(...amounts);
  if (node.additionalProperties !== undefined) return fc.constantFrom({ '-': 'a' }, { '': 'a' }, { a: 1 }, []);
  if (node['x-kubernetes-preserve-unknown-fields']) return fc.constantFrom([], 'a', { a: { b: [1, 'c', {}] }, '': 0 });
  if (node.type === 'integer') return fc.constantFrom((node.minimum ?? 0) - 1, (node.maximum ?? 0) + 1, 0.5);
  if (node.type === 'object') return fc.constantFrom({ unknown: 1 }, { '': 1 }, []);
  return fc.constantFrom(...texts);
}

function objectsOf(node: SchemaNode): fc.Arbitrary<unknown> {
  const { properties = {}, required = [], additionalProperties } = node;
  if (additionalProperties !== undefined) {
    return fc.dictionary(fc.constantFrom('a', 'app.kubernetes.io/name'), valuesOf(additionalProperties), {
      maxKeys: 2,
    });
  }
  if (node['x-kubernetes-preserve-unknown-fields']) return fc.constantFrom({}, { any: [1, { thing: 'x' }] });
  const fields = Object.fromEntries(Object.entries(properties).map(([name, child]) => [name, valuesOf(child)]));
  const mostly = fc.record(fields, { requiredKeys: required });
  return fc.oneof(
    { weight: 1_000, arbitrary: mostly },
    { weight: 1, arbitrary: fc.record(fields, { requiredKeys: [] }) },
  );
}

const names = fc.oneof(
  { weight: 20, arbitrary: fc.constantFrom('algebra', 'a', 'a-1', `a${'b'.repeat(39)}`) },
  { weight: 1, arbitrary: fc.constantFrom(`a${'b'.repeat(40)}`, '1a', 'a-', 'a.b', 'A', 'a_b', 'ä', '') },
);

const closed = fc.constantFrom(...times);

/** Where the field on the left is, those on the right may not be. */
const conflicts: readonly [field: string, others: readonly string[]][] = [
  ['gateway.replicas', ['gateway.minReplicas', 'gateway.maxReplicas', 'gateway.autoscale']],
  ['gateway.minReplicas', ['gateway.maxReplicas']],
  ['access.gateway', ['access.ingressClass', 'access.tlsSecret']],
  ['auth.jwksUrl', ['auth.secretRef']],
  ['roster.file', ['roster.configMap']],
  ['export.postgres', ['export.duckdb']],
  ['export.postgres.credentialsSecret', ['export.postgres.passwordFile', 'export.postgres.tls']],
];

/** A document that breaks no rule over several fields, for most of those that do: else hardly any would be taken. */
function withoutConflicts(spec: object): object {
  const copy = structuredClone(spec) as Record<string, never>;
  const holder = (path: string) => {
    const names = path.split('.').slice(0, -1);
    return names.reduce((at, name) => at?.[name] ?? {}, copy as Record<string, Record<string, never>>);
  };
  const last = (path: string) => path.split('.').at(-1)!;
  const has = (path: string) => last(path) in Object(holder(path));
  const remove = (path: string) => void delete holder(path)[last(path)];
  for (const [field, others] of conflicts) if (has(field)) others.filter(has).forEach(remove);
  if (has('roster') && !has('roster.file') && !has('roster.configMap')) remove('roster');
  if (has('access') && !has('access.host')) remove('access');
  if (!has('export.postgres.user') && !has('export.postgres.credentialsSecret') && has('export.postgres'))
    remove('export.postgres');
  return copy;
}

test('the parser and the API server agree on documents of all kinds', async () => {
  const seen = { taken: 0, refused: 0 };
  const documents = fc.record({ name: names, spec: objectsOf(specNode), closesAt: closed, isMended: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(documents, async ({ name, spec, closesAt, isMended }) => {
      const whole = isMended ? withoutConflicts({ ...(spec as object), closesAt }) : (spec as object);
      seen[await expectAgreement({ ...sessionOf(whole), metadata: { name } })] += 1;
    }),
    { numRuns: 600 },
  );
  console.log(`agreed on ${seen.taken} sessions that are taken and ${seen.refused} that are refused`);
  expect(Math.min(seen.taken, seen.refused)).toBeGreaterThan(20);
});

/** A single field, each at every value that might be read in two ways. */
const leaves = fieldsOf(specNode, []).filter(({ node }) => node.type !== 'object' && node.type !== 'array');
/** `[]` stands for an entry of a list, `{}` for a value of a map. */
const entry = { '[]': (value: unknown) => [value], '{}': (value: unknown) => ({ a: value }) } as const;

function fieldsOf(node: SchemaNode, path: readonly string[]): { path: readonly string[]; node: SchemaNode }[] {
  const { properties = {}, items, additionalProperties } = node;
  const children = {
    ...properties,
    ...(items && { '[]': items }),
    ...(additionalProperties && { '{}': additionalProperties }),
  };
  const inside = Object.entries(children).flatMap(([name, child]) => fieldsOf(child, [...path, name]));
  return [{ path, node }, ...inside];
}

test.each(leaves.map(({ path, node }) => ({ field: `spec.${path.join('.')}`, path, node })))(
  'they agree on every value of $field',
  async ({ path, node }) => {
    const base = { students: 10, opensAt: '1000-01-01T00:00:00Z', closesAt: '9999-12-31T23:59:59Z' };
    const bounds = [node.minimum, node.maximum].flatMap((bound) => (bound === undefined ? [] : [bound, bound + 1]));
    const text = node.format === 'date-time' ? [...times, ...noTimes] : [...texts, ...(node.enum ?? [])];
    const isAmountField = node['x-kubernetes-int-or-string'] === true;
    const ofType = isAmountField ? amounts : node.type === 'string' ? text : [...bounds, 'text'];
    for (const value of [...ofType, ...otherTypes]) {
      const nested = path
        .slice(1)
        .reduceRight(
          (inner: unknown, key) => (key in entry ? entry[key as keyof typeof entry](inner) : { [key]: inner }),
          value,
        );
      await expectAgreement(sessionOf({ ...base, [path[0]!]: nested }));
    }
  },
);

test.each(wrongSessions)('both refuse: $title', async ({ name = 'wrong', spec, beside, ...rest }) => {
  const whole = 'wholeSpec' in rest ? rest.wholeSpec : { students: 10, ...spec };
  const session = { ...sessionOf(whole as object), ...beside, metadata: { name } };
  expect(await expectAgreement(session)).toBe('refused');
});
