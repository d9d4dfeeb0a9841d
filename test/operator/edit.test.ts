import { describe, expect, test } from 'vitest';
import { checkEdit, type Made } from '#operator/edit.ts';
import { readExamSession } from '#operator/examsession.ts';

const sessionOf = (spec: string) =>
  readExamSession(
    `{apiVersion: untradex.io/v1alpha1, kind: ExamSession, metadata: {name: algebra}, spec: {students: 40, ${spec}}}`,
  );

const nothing: Made = { shards: 0, queueVolumes: false, exportVolume: false };
const machine: Made = { shards: 2, queueVolumes: false, exportVolume: false };
const cluster: Made = { shards: 2, queueVolumes: true, exportVolume: false };
const exported: Made = { ...cluster, exportVolume: true };

const edit = (before: string, after: string, made: Made) => () => checkEdit(sessionOf(before), sessionOf(after), made);

describe('an edit', () => {
  test.each<[before: string, after: string, made: Made, says: RegExp]>([
    ['', 'exam: other', nothing, /^spec\.exam cannot change: it is algebra, the edit says other$/],
    ['', 'rehearsal: true', nothing, /^spec\.rehearsal cannot change: it is false, the edit says true$/],
    [
      'redis: {shards: 2}',
      'redis: {shards: 3}',
      machine,
      /^spec\.redis\.shards cannot change or be removed .* says 3;/,
    ],
    ['redis: {shards: 2}', '', machine, /^spec\.redis\.shards cannot change or be removed .* leaves it out;/],
    ['redis: {shards: 2}', 'redis: {shards: 3}', nothing, /^spec\.redis\.shards cannot change/],
    [
      '',
      'redis: {shards: 3}',
      machine,
      /^spec\.redis\.shards must be the number of shards that exist \(2\), or be left/,
    ],
    ['redis: {storageClass: a}', 'redis: {storageClass: b}', cluster, /^spec\.redis\.storageClass cannot .* says b$/],
    [
      'redis: {storageClass: a}',
      '',
      cluster,
      /^spec\.redis\.storageClass cannot change: it is a, the edit leaves it out$/,
    ],
    ['', 'redis: {storageClass: b}', cluster, /^spec\.redis\.storageClass cannot change: it is left out, the edit/],
    [
      'redis: {storage: 2Gi}',
      'redis: {storage: 2G}',
      cluster,
      /^spec\.redis\.storage cannot shrink or be removed: it is 2Gi/,
    ],
    [
      'redis: {storage: 2Gi}',
      '',
      cluster,
      /^spec\.redis\.storage cannot shrink .*: it is 2Gi, the edit leaves it out$/,
    ],
    [
      'export: {volume: {storageClass: a}}',
      'export: {volume: {storageClass: b}}',
      exported,
      /^spec\.export\.volume\.storageClass cannot change: it is a/,
    ],
    [
      'export: {volume: {storage: 5Gi}}',
      'export: {volume: {storage: 1Gi}}',
      exported,
      /^spec\.export\.volume\.storage cannot shrink or be removed: it is 5Gi, the edit says 1Gi$/,
    ],
  ])('from "%s" to "%s" is refused', (before, after, made, says) => {
    expect(edit(before, after, made)).toThrow(
      expect.objectContaining({ code: 'edit_refused', message: expect.stringMatching(says) }),
    );
  });

  test.each<[before: string, after: string, made: Made]>([
    ['', 'redis: {shards: 2}', machine],
    ['', 'redis: {shards: 7}', nothing],
    ['redis: {storageClass: a}', 'redis: {storageClass: b}', nothing],
    ['redis: {storageClass: a, storage: 2Gi}', 'redis: {storageClass: b, storage: 1Gi}', machine],
    ['redis: {storage: 1024Mi}', 'redis: {storage: 1Gi}', cluster],
    ['redis: {storage: 2G}', 'redis: {storage: 2Gi}', cluster],
    ['export: {volume: {storage: 5Gi, storageClass: a}}', 'export: {volume: {storage: 1Gi}}', cluster],
    ['export: {volume: {storage: 5Gi}}', 'export: {volume: {storage: 6Gi}}', exported],
    ['', 'phase: Finalizing, graceSeconds: 3, gateway: {replicas: 7}', exported],
  ])('from "%s" to "%s" is taken', (before, after, made) => {
    expect(edit(before, after, made)).not.toThrow();
  });

  test('is told with everything that is wrong about it', () => {
    expect(edit('redis: {shards: 2}', 'exam: other, redis: {shards: 3}', machine)).toThrow(
      /spec\.exam cannot change.*; spec\.redis\.shards cannot change/,
    );
  });
});
