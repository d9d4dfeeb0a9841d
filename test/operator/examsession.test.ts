import { describe, expect, test } from 'vitest';
import * as z from 'zod';
import { examName, examSessionSchema, readExamSession } from '#operator/examsession.ts';
import { sessionDefaults } from '#operator/sessiondefaults.ts';
import { isProblem } from '#queue/problem.ts';

const smallest = `
apiVersion: untradex.io/v1alpha1
kind: ExamSession
metadata:
  name: algebra
spec:
  students: 4000
`;

function faultsOf(yaml: string): string[] {
  try {
    readExamSession(yaml);
  } catch (error) {
    if (!isProblem(error)) throw error;
    expect(error.code).toBe('session_invalid');
    return error.message
      .split('\n')
      .slice(1)
      .map((line) => line.trim());
  }
  return [];
}

describe('a session file', () => {
  test('needs one field of its own; the rest has defaults', () => {
    const session = readExamSession(smallest);
    expect(session.spec).toMatchObject({
      students: 4000,
      phase: 'Active',
      graceSeconds: sessionDefaults.graceSeconds,
      late: 'Refuse',
      autoFinalize: false,
      rehearsal: false,
      answers: sessionDefaults.answers,
      access: { origins: [] },
      redis: { studentsPerShard: sessionDefaults.redis.studentsPerShard },
      export: { table: 'EXAM_ANSWERS', batchRows: 5000 },
    });
    expect(session.spec.gateway.replicas).toBeUndefined();
    expect(examName(session)).toBe('algebra');
  });

  test('takes PostgreSQL as its target, with a name that it does not cut off, and one target only', () => {
    const server = 'postgres: {host: db.example.edu, database: exams, user: untradex}';
    const { spec } = readExamSession(`${smallest}\n  export: {${server}}`);
    expect(spec.export).toEqual({
      ...{ table: 'EXAM_ANSWERS', batchRows: 5000 },
      postgres: {
        ...{ host: 'db.example.edu', port: 5432, database: 'exams', user: 'untradex', schema: 'public' },
        tls: { mode: 'Verify' },
      },
    });
    const faults = faultsOf(
      `${smallest}\n  rehearsal: true\n  export: {table: ${'A'.repeat(54)}, duckdb: {}, ${server}}`,
    );
    expect(faults).toEqual([
      expect.stringContaining('spec.export (line 10): takes one target: keep one of duckdb, postgres'),
      expect.stringContaining('spec.export.table (line 10): is too long for PostgreSQL'),
    ]);
  });

  test('may be JSON', () => {
    const session = readExamSession(JSON.stringify(readExamSession(smallest)));
    expect(session.spec.students).toBe(4000);
  });

  test('names every wrong field at once, with its line and what is allowed', () => {
    const faults = faultsOf(`apiVersion: untradex.io/v1
kind: ExamSession
metadata:
  name: Algebra 1
spec:
  students: many
  studens: 3
  phase: finalizing
  opensAt: 2026-05-04T09:00:00Z
  closesAt: 2026-05-04T08:00:00Z
  gateway: {replica: 2, studentsPerReplica: 5}
  redis: []
  access: {origins: [nowhere]}
  export: {table: drop table, oracle: {}}
  roster: {file: ../students.csv}
`);
    const said = (path: string) => faults.find((fault) => fault.startsWith(`${path} `)) ?? `nothing about ${path}`;
    expect(said('apiVersion')).toContain('(line 1): must be untradex.io/v1alpha1');
    expect(said('metadata.name')).toContain('lower-case letters, digits and dashes');
    expect(said('spec.students')).toBe('spec.students (line 6): must be a whole number from 1 to 1000000, not "many"');
    expect(said('spec.studens')).toBe('spec.studens (line 7): unknown field; did you mean "students"?');
    expect(said('spec.phase')).toContain('one of Active, Finalizing, not "finalizing"');
    expect(said('spec.closesAt')).toContain('(line 10): must be after spec.opensAt');
    expect(said('spec.gateway.replica')).toContain('did you mean "replicas"?');
    expect(said('spec.gateway.studentsPerReplica')).toContain('from 100 to 20000, not 5');
    expect(said('spec.redis')).toContain('a map of shards, studentsPerShard');
    expect(said('spec.access.origins.0')).toContain('not "nowhere"');
    expect(said('spec.export.table')).toContain('not "drop table"');
    expect(said('spec.export.oracle')).toContain('unknown field; known here: table, batchRows, duckdb, postgres');
    expect(said('spec.roster.file')).toContain('not "../students.csv"');
    expect(faults).toHaveLength(13);
  });

  test.each([
    ['', 'there is nothing in it'],
    ['a: [', 'line 1:'],
    ['spec:\n\tstudents: 3', 'line 2:'],
    [`${smallest}---\n${smallest}`, 'it holds 2 documents'],
    [`${smallest}  students: 5\n`, 'line 8:'],
    ['just words', 'must be a map of apiVersion, kind, metadata, spec'],
    [smallest.replace('  students: 4000', '  exam: x'), 'spec.students'],
    [smallest.replace('4000', '4000.5'), 'whole number'],
    [smallest.replace('4000', '1000001'), 'from 1 to 1000000'],
    [`${smallest}  closesAt: tomorrow`, 'such as 2026-05-04T09:00:00Z'],
    [`${smallest}  closesAt: 2026-05-04T09:00:00`, 'with its offset'],
    [`${smallest}  autoFinalize: true`, 'needs spec.closesAt'],
    [`${smallest}  roster: {file: extra.csv}`, 'needs spec.closesAt'],
  ])('refuses %j and says why', (yaml, why) => {
    expect(faultsOf(yaml).join('\n')).toContain(why);
  });

  test('a long wrong value is cut short in the message', () => {
    expect(faultsOf(smallest.replace('4000', `"${'x'.repeat(5000)}"`)).join('\n').length).toBeLessThan(300);
  });
});

test('the schema makes a structural CRD: a type and a description on every node, no unions', () => {
  const walk = (node: Record<string, unknown>, path: string): void => {
    expect(node.type, `type of ${path}`).toBeTypeOf('string');
    expect(node.anyOf ?? node.oneOf, `union at ${path}`).toBeUndefined();
    const children = Object.entries((node.properties ?? {}) as Record<string, Record<string, unknown>>);
    for (const [name, child] of children) {
      expect(child.description, `description of ${path}.${name}`).toBeTypeOf('string');
      walk(child, `${path}.${name}`);
    }
  };
  walk(z.toJSONSchema(examSessionSchema, { target: 'openapi-3.0', io: 'input' }) as Record<string, unknown>, '');
});
