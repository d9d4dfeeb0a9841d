import { readdirSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { readExamSession } from '#operator/examsession.ts';
import { readRoster } from '#operator/roster.ts';
import { startApiServer, type TestApiServer } from '#test/support/apiserver.ts';
import { until } from '#test/support/until.ts';
import { manifestsOf, ofKind, releaseNamespace, render } from './helm.ts';

/** Each file in examples/: the API server takes it, under the chart's policies, and the program reads it. */
const files = readdirSync('examples').filter((name) => name.endsWith('.yaml'));

let cluster: TestApiServer;

beforeAll(async () => {
  cluster = await startApiServer();
  await cluster.call('POST', '/api/v1/namespaces', { body: { metadata: { name: releaseNamespace } } });
  const chart = (await render()).filter(({ metadata }) => !metadata.annotations?.['helm.sh/hook']);
  const yaml = [...ofKind(chart, 'CustomResourceDefinition'), ...chart]
    .map((manifest) => stringify(manifest))
    .join('---\n');
  const applied = await cluster.kubectl(['apply', '--server-side', '-f', '-'], yaml);
  expect(applied.code, applied.stderr).toBe(0);
  const explained = async () => (await cluster.kubectl(['explain', 'exam'])).code === 0;
  await until(explained, { what: 'the new resource', timeoutMs: 30_000 });
});

test('there are some', () => {
  expect(files).toEqual(expect.arrayContaining(['session.yaml', 'smallest.yaml', 'algebra-postgres.yaml']));
});

describe.each(files)('%s', (name) => {
  const file = `examples/${name}`;
  const text = readFileSync(file, 'utf8');
  const manifests = manifestsOf(text);

  test('is taken by the API server, and changes nothing when it is applied again', async () => {
    const once = await cluster.kubectl(['apply', '--validate=strict', '-f', file]);
    expect({ code: once.code, stderr: once.stderr }).toEqual({ code: 0, stderr: '' });
    const again = await cluster.kubectl(['apply', '--validate=strict', '-f', file]);
    expect(again.stdout).toMatch(/^examsession\.untradex\.io\/\S+ unchanged$/m);
    expect((await cluster.kubectl(['delete', '-f', file])).code).toBe(0);
  });

  test('is read by the program', () => {
    const sessions = ofKind(manifests, 'ExamSession');
    expect(sessions).toHaveLength(1);
    for (const session of sessions)
      expect(readExamSession(stringify(session)).metadata.name).toBe(session.metadata.name);
    for (const { data } of ofKind(manifests, 'ConfigMap'))
      expect(readRoster(data['roster.csv']).size).toBeGreaterThan(0);
  });

  test('says what it is, and how it is started', () => {
    expect(text).toMatch(/^# .{30,}/);
    expect(text).toMatch(new RegExp(`^# .*(kubectl apply|untradex run) -f ${name}`, 'm'));
  });
});
