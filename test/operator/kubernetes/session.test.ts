import { expect, test } from 'vitest';
import { sessionOfObject } from '#operator/kubernetes/session.ts';

function objectOf(spec: object) {
  const metadata = { name: 'algebra', namespace: 'exams', uid: 'uid', labels: { team: 'maths' } };
  return { apiVersion: 'untradex.io/v1alpha1', kind: 'ExamSession', metadata, spec, status: { phase: 'Active' } };
}

test('a session is read from its object, with its defaults', () => {
  expect(sessionOfObject(objectOf({ students: 5 }))).toMatchObject({
    metadata: { name: 'algebra' },
    spec: { students: 5, phase: 'Active', graceSeconds: 10 },
  });
});

test('files of one machine are told all at once, each with what to use instead', () => {
  const postgres = {
    host: 'db',
    database: 'exams',
    user: 'exporter',
    passwordFile: 'secret',
    tls: { caFile: 'ca.pem' },
  };
  const spec = {
    students: 5,
    closesAt: '2026-05-04T10:00:00Z',
    roster: { file: 'students.csv' },
    export: { postgres },
  };
  const read = () => sessionOfObject(objectOf(spec));
  expect(read).toThrow(expect.objectContaining({ code: 'session_unusable' }));
  for (const words of [
    'spec.roster.file',
    'spec.roster.configMap',
    'passwordFile',
    'tls.caFile',
    'credentialsSecret',
  ]) {
    expect(read).toThrow(words);
  }
});

test('what the schema refuses is refused here too', () => {
  expect(() => sessionOfObject(objectOf({ students: 0 }))).toThrow(
    expect.objectContaining({ code: 'session_invalid' }),
  );
});
