import fc from 'fast-check';
import { expect, test } from 'vitest';
import { covers } from '#operator/kubernetes/covers.ts';

const container = { name: 'redis', image: 'redis:1', resources: { limits: { memory: '1024Mi' } }, env: [] };

test('defaults and other ways to write a quantity make no difference', () => {
  const live = { ...container, resources: { limits: { memory: '1Gi' } }, env: undefined, tty: false };
  expect(covers(live, container)).toBe(true);
});

test.each([
  ['another value', { ...container, image: 'redis:2' }],
  ['another quantity', { ...container, resources: { limits: { memory: '64Mi' } } }],
  ['a field that was removed', { ...container, resources: undefined }],
])('%s does', (_, live) => {
  expect(covers(live, container)).toBe(false);
});

test('an item more or less in a list does', () => {
  expect(covers([container, container], [container])).toBe(false);
  expect(covers([container], [container, container])).toBe(false);
});

test('everything covers itself, and what has more fields', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string(), fc.jsonValue()),
      fc.dictionary(fc.string(), fc.jsonValue()),
      (wanted, more) => {
        expect(covers({ ...more, ...wanted }, wanted)).toBe(true);
      },
    ),
  );
});
