import { problem } from '#queue/problem.ts';
import { fieldsWithoutEffect, insteadOf } from '../effect.ts';
import { apiVersion, type ExamSession, type ExamSpec, kind, readExamSession } from '../examsession.ts';
import type { KubeObject } from './runtime/object.ts';

/** A session as the API server has it, made into what the plan takes. Pure. */

/**
 * The session with every default, and only wishes that a cluster can fulfil.
 * @throws Problem `session_invalid`; `session_unusable` for fields that have no effect on a cluster
 */
export function sessionOfObject(object: KubeObject): ExamSession {
  const { metadata, spec } = object;
  const session = readExamSession(JSON.stringify({ apiVersion, kind, metadata: { name: metadata.name }, spec }));
  const faults = unusable(session.spec);
  if (faults.length === 0) return session;
  throw problem(
    'session_unusable',
    `on a cluster some fields have no effect:\n${faults.map((fault) => `  ${fault}`).join('\n')}`,
    'use the fields that are named instead',
  );
}

/** Wishes for files of one machine, each with what to use instead. */
function unusable(spec: ExamSpec): string[] {
  return fieldsWithoutEffect(spec, 'cluster').map(
    (field) => `${field}: no pod sees that file; ${insteadOf(field, 'cluster')}`,
  );
}
