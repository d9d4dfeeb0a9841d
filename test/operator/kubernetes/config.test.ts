import { expect, test } from 'vitest';
import { exampleConfig, readOperatorConfig } from '#operator/kubernetes/config.ts';

test('the smallest configuration is enough', () => {
  expect(readOperatorConfig(exampleConfig)).toMatchObject({
    watchNamespaces: [],
    images: { pullPolicy: 'IfNotPresent', pullSecrets: [] },
    leaderElection: { name: 'untradex-operator', leaseSeconds: 15 },
    ops: { port: 9090 },
    admin: { enabled: false },
    storageClass: null,
    networkPolicies: true,
    workers: 4,
  });
});

test('every fault is told at once, with its line', () => {
  const text = `${exampleConfig}workers: 0\nopps: {port: 1}\nleaderElection: {leaseSeconds: 1}\n`;
  expect(() => readOperatorConfig(text)).toThrow(/workers \(line 3\).*\n.*|opps \(line 4\): unknown field/s);
  for (const field of ['workers', 'opps', 'leaderElection.leaseSeconds']) {
    expect(() => readOperatorConfig(text)).toThrow(field);
  }
});

test('the admin API needs a certificate', () => {
  const text = `${exampleConfig}admin: {enabled: true, tls: {certFile: /tls/tls.crt}}\n`;
  expect(() => readOperatorConfig(text)).toThrow('admin.tls.keyFile');
});
