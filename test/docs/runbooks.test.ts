import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { type ConditionType, conditions } from '#operator/conditions.ts';
import { anchorsOf } from './page.ts';

const page = 'docs/runbooks.md';
const anchors = anchorsOf(page);

const alerts = parse(readFileSync('charts/untradex/files/alerts.yaml', 'utf8')) as { alert: string }[];

/** Of a condition, as `yes('AllShards', …)` and `no('Waiting', …)` say them. */
const saidReasons = (code: string) =>
  [...code.matchAll(/\b(?:yes|no)\(\s*['"](\w+)['"]/g)].map(([, reason]) => reason!);

/** Codes of faults, which are the reasons of conditions too. */
const saidCodes = (code: string) =>
  [...code.matchAll(/(?:\bcode:|\bproblem\(|\blost\(|\bfault\()\s*'([a-z]+(?:_[a-z]+)+)'/g)].map(([, one]) => one!);

const filesIn = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => `${entry.parentPath}/${entry.name}`);

/** Whose faults come to a session's conditions on a cluster. */
const sources = [
  ...filesIn('operator/kubernetes').filter((file) => !file.includes('/runtime/')),
  ...['edit', 'examsession', 'exportend', 'roster', 'statusschema'].map((name) => `operator/${name}.ts`),
  ...['chain', 'codec', 'connect', 'lanetable', 'log', 'logcheck', 'merkle', 'reply', 'shardcheck'].map(
    (name) => `queue/${name}.ts`,
  ),
  // Notes of a report are no faults. Oracle's errors are many, and for a page of their own.
  ...filesIn('exporter').filter((file) => !/\/(report|sinks\/oracle)\//.test(file)),
];
const codes = [...new Set(sources.flatMap((file) => saidCodes(readFileSync(file, 'utf8'))))].sort();

describe('the runbooks', () => {
  test.each(alerts.map(({ alert }) => alert))('have a section where the alert %s points to', (alert) => {
    expect(anchors).toContain(alert.toLowerCase());
  });

  test.each(Object.keys(conditions) as ConditionType[])(
    'tell of the condition %s and of each of its reasons',
    (type) => {
      expect(anchors).toContain(type.toLowerCase());
      for (const reason of saidReasons(String(conditions[type]))) {
        expect(anchors, `${type} ${reason}`).toContain(`${type}-${reason}`.toLowerCase());
      }
    },
  );

  test('tell of the reasons that stand elsewhere in the code', () => {
    const inConditions = saidReasons(readFileSync('operator/conditions.ts', 'utf8'));
    const inStatus = [...readFileSync('operator/kubernetes/sessionstatus.ts', 'utf8').matchAll(/reason: '(\w+)'/g)];
    for (const reason of [...inConditions, ...inStatus.map(([, one]) => one!)]) {
      expect(
        anchors.filter((anchor) => anchor.endsWith(`-${reason.toLowerCase()}`)),
        reason,
      ).not.toEqual([]);
    }
  });

  test('find the codes in the code', () => {
    expect(codes.length).toBeGreaterThan(50);
  });

  test.each(codes)('tell what %s means', (code) => {
    expect(anchors).toContain(code);
  });

  test('tell of no code and no alert that is gone', () => {
    const kept = new Set([...codes, ...alerts.map(({ alert }) => alert.toLowerCase())]);
    const told = anchors.filter((anchor) => /^[a-z]+(_[a-z]+)+$|^untradex/.test(anchor));
    expect(told.filter((anchor) => !kept.has(anchor) && !anchor.startsWith('api_'))).toEqual([]);
  });
});
