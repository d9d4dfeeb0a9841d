import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { sessionOf } from '#crds/page.ts';
import { readExamSession } from '#operator/examsession.ts';
import { numberOf } from '#operator/quantity.ts';
import { isProblem } from '#queue/problem.ts';

/** What a session says about a cluster's objects: read, and told when it is wrong. */

function read(spec: object) {
  return readExamSession(stringify(sessionOf({ students: 10, ...spec }))).spec;
}

/** What is said about one field of a session that is wrong in nothing else. */
function faultOf(spec: object): string {
  try {
    read(spec);
  } catch (error) {
    if (!isProblem(error)) throw error;
    const [, ...lines] = error.message.split('\n');
    expect(lines).toHaveLength(1);
    return lines[0]!.trim().replace(/ \(line \d+\)/, '');
  }
  return 'taken';
}

describe('amounts', () => {
  test('are text once they are read, also when they are written without quotes', () => {
    const { gateway, redis } = read({
      gateway: { resources: { cpu: 2, memory: '1.5Gi' } },
      redis: { storage: 1_073_741_824 },
    });
    expect(gateway.resources).toEqual({ cpu: '2', memory: '1.5Gi' });
    expect(redis.storage).toBe('1073741824');
  });

  test.each(['500m', '2', '1.5', '0.25', '0.001', '9999'])('of cores: %s', (cpu) => {
    expect(read({ redis: { resources: { cpu } } }).redis.resources?.cpu).toBe(cpu);
    expect(numberOf(cpu)).toBeGreaterThan(0);
  });

  test.each(['1', '512Mi', '10Gi', '1.5Gi', '0.5Ti', '2e9', '128974848', '999999999999Pi'])(
    'of bytes: %s',
    (storage) => {
      expect(read({ redis: { storage } }).redis.storage).toBe(storage);
      expect(numberOf(storage)).toBeGreaterThan(0);
    },
  );

  test.each(['500m', '10GB', '10 Gi', '0', '-1Gi', 'much'])('of bytes are not %j', (storage) => {
    expect(faultOf({ redis: { storage } })).toBe(
      `spec.redis.storage: must be an amount as Kubernetes writes it (Storage of each shard, such as 20Gi. It may grow, never shrink. On one machine: what the disk should have room for. Left out: as planned.), not "${storage}"`,
    );
  });
});

describe('what is told', () => {
  test.each([
    ['a slip in a name', { access: { hosts: 'a.b' } }, 'spec.access.hosts: unknown field; did you mean "host"?'],
    ['capitals', { gateway: { autoScale: true } }, 'spec.gateway.autoScale: unknown field; did you mean "autoscale"?'],
    ['a plural', { redis: { pods: {} } }, 'spec.redis.pods: unknown field; did you mean "pod"?'],
    [
      'a slip inside a pod',
      { export: { pod: { label: {} } } },
      'spec.export.pod.label: unknown field; did you mean "labels"?',
    ],
    [
      'a slip in a toleration',
      { gateway: { pod: { tolerations: [{ efect: 'NoExecute' }] } } },
      'spec.gateway.pod.tolerations.0.efect: unknown field; did you mean "effect"?',
    ],
    [
      'another kind of affinity',
      { redis: { pod: { affinity: { nodeAfinity: {} } } } },
      'spec.redis.pod.affinity.nodeAfinity: unknown field; did you mean "nodeAffinity"?',
    ],
    [
      'a key that is none',
      { redis: { pod: { labels: { 'a b': 'c' } } } },
      'spec.redis.pod.labels.a b: must have a key as labels have them, such as example.com/name',
    ],
    [
      'a value that is none',
      { redis: { pod: { labels: { a: 1 } } } },
      expect.stringMatching(/^spec\.redis\.pod\.labels\.a: must be text of at most 63 that matches .*, not 1$/),
    ],
    [
      'a list for a map',
      { gateway: { pod: { labels: ['a'] } } },
      expect.stringContaining('must be a map of at most 64'),
    ],
    [
      'a text for free affinity',
      { gateway: { pod: { affinity: { podAffinity: 'x' } } } },
      expect.stringContaining('must be a map, not "x"'),
    ],
    [
      'many tolerations',
      { gateway: { pod: { tolerations: Array(33).fill({ key: 'a' }) } } },
      expect.stringContaining('spec.gateway.pod.tolerations: must be a list of at most 32'),
    ],
    [
      'many labels',
      { gateway: { pod: { labels: Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`a${n}`, 'x'])) } } },
      expect.stringContaining('spec.gateway.pod.labels: must be a map of at most 64'),
    ],
    ['a rule', { access: { tlsSecret: 'a' } }, expect.stringMatching(/^spec\.access\.host: is needed for tlsSecret/)],
  ])('of %s', (_, spec, told) => {
    expect(faultOf(spec)).toEqual(told);
  });
});

test('what is free inside is kept as it is', () => {
  const affinity = {
    nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ a: 1 }] } },
  };
  expect(read({ redis: { pod: { affinity } } }).redis.pod?.affinity).toEqual(affinity);
});
