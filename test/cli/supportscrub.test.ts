import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createScrubber } from '#cli/cluster/support/scrubber.ts';
import { tidied } from '#cli/cluster/support/tidy.ts';

const secretOf = (text: string, key = 'password') => ({ secret: 'keys', key, bytes: Buffer.from(text) });

describe('a secret is in no text', () => {
  test('however it is written', () => {
    const secret = fc.string({ minLength: 8, maxLength: 60, unit: 'grapheme' }).filter((text) => /\S{8}/.test(text));
    fc.assert(
      fc.property(secret, fc.lorem(), (text, around) => {
        const { scrub } = createScrubber([secretOf(text)]);
        const needle = text.trim();
        for (const written of [
          needle,
          JSON.stringify({ said: needle }),
          encodeURIComponent(needle),
          Buffer.from(text).toString('base64'),
          Buffer.from(text).toString('base64url'),
        ]) {
          const clean = scrub(`${around} ${written} ${around}`);
          expect(clean).not.toContain(needle);
          expect(clean).not.toContain(Buffer.from(text).toString('base64'));
        }
      }),
    );
  });

  test('nor any line of it, nor a token, nor a password in an address', () => {
    const { scrub } = createScrubber([
      secretOf('-----BEGIN KEY-----\nMIIBVwIBADANBgkq\nhkiG9w0BAQEF\n-----END KEY-----\n'),
    ]);
    expect(scrub('found hkiG9w0BAQEF in a file')).toBe('found (secret keys password) in a file');
    expect(scrub('Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln')).toBe('Bearer (token)');
    expect(scrub('at postgres://anna:geheim@db/exams')).toBe('at postgres://anna:(password)@db/exams');
  });

  test('and everything else stays as it is, the name of the account too', () => {
    const { scrub } = createScrubber([secretOf('untradex', 'username'), secretOf('abc'), secretOf('')]);
    const text = 'untradex says abc: {"a": [1, 2]}';
    expect(scrub(text)).toBe(text);
  });
});

test('objects come without rosters, values of variables and bookkeeping', () => {
  const metadata = {
    name: 'x',
    managedFields: [{}],
    annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{}', a: 'b' },
  };
  const data = { 'exporter.json': '{"roster":"/etc/roster.json"}', 'roster.json': '["anna"]' };
  expect(
    tidied({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data, binaryData: { 'roster.csv.gz': 'H4sI' } }),
  ).toEqual({
    ...{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x', annotations: { a: 'b' } } },
    data: { 'exporter.json': data['exporter.json'], 'roster.json': '(left out: 8 bytes)' },
    binaryData: { 'roster.csv.gz': '(left out: 4 bytes)' },
  });
  const env = [
    { name: 'NODE_ENV', value: 'production' },
    { name: 'X', value: 'y' },
    { name: 'SHARD', valueFrom: {} },
  ];
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'x' }, spec: { containers: [{ name: 'c', env }] } };
  expect(tidied(pod)).toMatchObject({
    spec: { containers: [{ env: [env[0], { name: 'X', value: '(left out: 1 bytes)' }, env[2]] }] },
  });
});
