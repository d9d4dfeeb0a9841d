import { readFileSync } from 'node:fs';
import { describe, expect, expectTypeOf, test } from 'vitest';
import { stringify } from 'yaml';
import type * as z from 'zod';
import { generated } from '#crds/generate.ts';
import { examples, sessionOf } from '#crds/page.ts';
import { examSessionCrd, type SchemaNode } from '#operator/crd.ts';
import { readExamSession } from '#operator/examsession.ts';
import { editRules, oneSink, specRules } from '#operator/rules.ts';
import type { SessionStatus } from '#operator/status.ts';
import { readStatus, type sessionStatusSchema, storedStatus } from '#operator/statusschema.ts';

const crd = examSessionCrd();
const root = crd.spec.versions[0]!.schema.openAPIV3Schema;
const { spec, status } = root.properties as { spec: SchemaNode; status: SchemaNode };

function nodesOf(node: SchemaNode, path: string): { path: string; node: SchemaNode }[] {
  const children = Object.entries(node.properties ?? {}).flatMap(([name, child]) => nodesOf(child, `${path}.${name}`));
  const items = node.items === undefined ? [] : nodesOf(node.items, `${path}[]`);
  const { additionalProperties: value } = node;
  return [{ path, node }, ...children, ...items, ...(value === undefined ? [] : nodesOf(value, `${path}{}`))];
}

test.each([...generated()])('%s is what `npm run crds` makes', (path, text) => {
  expect(readFileSync(path, 'utf8') === text, `${path} is stale: run npm run crds`).toBe(true);
});

describe('the CRD', () => {
  const nodes = [...nodesOf(spec, 'spec'), ...nodesOf(status, 'status')];

  test('describes every field and gives it a type', () => {
    for (const { path, node } of nodes) {
      expect(node.description, `description of ${path}`).toBeTypeOf('string');
      const type = node['x-kubernetes-int-or-string'] ? 'string' : node.type;
      expect(type, `type of ${path}`).toMatch(/^(object|array|string|integer|number|boolean)$/);
    }
  });

  test('bounds everything in the spec that could grow', () => {
    for (const { path, node } of nodesOf(spec, 'spec')) {
      const free = node['x-kubernetes-preserve-unknown-fields'] === true;
      if (node['x-kubernetes-int-or-string']) expect(node.maximum, path).toBeTypeOf('number');
      else if (node.type === 'array') expect(node.maxItems, path).toBeTypeOf('number');
      else if (node.additionalProperties !== undefined) expect(node.maxProperties, path).toBeTypeOf('number');
      else if (node.type === 'integer') expect([node.minimum, node.maximum], path).not.toContain(undefined);
      else if (node.type === 'string' && node.format === undefined && node.enum === undefined) {
        const bounded = node.maxLength ?? node.pattern;
        expect(bounded, path).toBeDefined();
        if (node.maxLength === undefined) expect(node.pattern, path).not.toMatch(/[*+](?![^[]*\])/);
      } else if (node.type === 'object' && !free) expect(node.properties ?? path, path).toBeDefined();
    }
  });

  test('uses nothing that Kubernetes refuses or does by itself', () => {
    const known = [
      ...['description', 'type', 'default', 'enum', 'format', 'pattern', 'minimum', 'maximum', 'minLength'],
      ...['maxLength', 'maxItems', 'items', 'properties', 'required', 'x-kubernetes-list-type'],
      ...['x-kubernetes-list-map-keys', 'x-kubernetes-validations', 'additionalProperties', 'maxProperties'],
      ...['x-kubernetes-preserve-unknown-fields', 'x-kubernetes-int-or-string'],
    ];
    for (const { path, node } of nodes) expect(known, path).toEqual(expect.arrayContaining(Object.keys(node)));
  });

  test('gives no target of the export a default, which would count as given', () => {
    const targets = Object.entries(spec.properties!.export!.properties!).filter(([, { type }]) => type === 'object');
    expect(targets.map(([, node]) => node.default)).toEqual(targets.map(() => undefined));
  });

  test('names the field in every message, and what to do', () => {
    const rules = [...root['x-kubernetes-validations']!, ...spec['x-kubernetes-validations']!];
    expect(rules).toHaveLength(1 + editRules.length + specRules.length);
    for (const { message } of rules) expect(message).toMatch(/^(spec|metadata|status)\.\S+ .{30,}/);
  });

  test('keeps conditions by their type, so that others may add theirs', () => {
    expect(status.properties!.conditions).toMatchObject({
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['type'],
    });
  });
});

describe('the status in a cluster', () => {
  test('has the shape of the status that the operator makes', () => {
    type Plain = z.output<typeof sessionStatusSchema>;
    expectTypeOf<Omit<Plain, 'conditions' | 'plan'>>().toExtend<Omit<SessionStatus, 'conditions' | 'plan'>>();
    expectTypeOf<SessionStatus['redis']['witnesses'][number]>().toExtend<Plain['redis']['witnesses'][number]>();
    expectTypeOf<Plain['redis']['witnesses'][number]>().toExtend<SessionStatus['redis']['witnesses'][number]>();
    expectTypeOf<keyof SessionStatus>().toEqualTypeOf<keyof Plain>();
    expectTypeOf<SessionStatus['conditions'][number]>().toExtend<Plain['conditions'][number]>();
    expectTypeOf<NonNullable<SessionStatus['export']>>().toEqualTypeOf<Readonly<NonNullable<Plain['export']>>>();
    expectTypeOf<NonNullable<SessionStatus['ackMs']>>().toEqualTypeOf<Readonly<NonNullable<Plain['ackMs']>>>();
    expectTypeOf<SessionStatus['students']>().toEqualTypeOf<Readonly<Plain['students']>>();
    expectTypeOf<SessionStatus['events']>().toEqualTypeOf<Readonly<Plain['events']>>();
  });

  test('reads what was left out as null', () => {
    const kept = {
      ...{ name: 'algebra', uid: 'u', phase: 'Active', observedGeneration: 1, conditions: [], receiptPublicKey: '' },
      plan: { replicas: 2, shards: 1, cpu: 3, memory: '1Gi', storage: '1Gi', why: [] },
      students: { expected: 1, connected: 0, seen: 0, finished: 0 },
      events: { accepted: 0, durable: 0, exported: 0 },
      redis: { witnesses: [] },
    };
    expect(readStatus(kept)).toEqual({
      ...kept,
      ...{ url: null, export: null, ackMs: null, drainUntil: null, sealing: null },
      redis: { witnesses: [], root: null },
    });
    expect(storedStatus(readStatus(kept)!)).toEqual(kept);
  });
});

describe('the reference page', () => {
  test.each(examples)('has an example that is valid: $title', ({ spec: example }) => {
    expect(readExamSession(stringify(sessionOf(example))).spec).toMatchObject(example);
  });

  test('lists every field', () => {
    const page = generated().get('docs/examsession.md')!;
    for (const { path } of nodesOf(spec, 'spec').filter(({ path }) => path.includes('.') && !/(\[\]|{})$/.test(path)))
      expect(page).toContain(`| \`${path}\` |`);
  });
});

describe('several targets of an export', () => {
  const rule = oneSink(['duckdb', 'postgres']);

  test.each([
    [{ duckdb: {}, postgres: {} }, true],
    [{ postgres: {} }, false],
    [{ table: 'A' }, false],
    [undefined, false],
  ])('%j is refused: %s', (target, refused) => {
    expect(rule.broken({ export: target })).toBe(refused);
  });

  test('are counted in CEL as well', () => {
    expect(rule.cel).toContain('[has(self.export.duckdb), has(self.export.postgres)].filter(given, given).size() <= 1');
    expect(rule.text).toContain('keep one of duckdb, postgres');
  });
});
