import { problem } from '#queue/problem.ts';
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
function unusable({ roster, export: target }: ExamSpec): string[] {
  const faults: string[] = [];
  if (roster?.file !== undefined) {
    faults.push(
      'spec.roster.file: no pod sees that file; put it into a ConfigMap and name it in spec.roster.configMap',
    );
  }
  const { passwordFile, tls } = target.postgres ?? {};
  const files = { passwordFile, 'tls.caFile': tls?.caFile, 'tls.certFile': tls?.certFile, 'tls.keyFile': tls?.keyFile };
  for (const [field, value] of Object.entries(files)) {
    if (value === undefined) continue;
    const instead = 'name a Secret in spec.export.postgres.credentialsSecret';
    faults.push(`spec.export.postgres.${field}: no pod sees that file; ${instead}`);
  }
  return faults;
}

const units: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `72h`, `14d`, `1h30m` in ms. The schema lets nothing else through. */
export function durationMs(text: string): number {
  const parts = [...text.matchAll(/(\d+)([smhd])/g)];
  return parts.reduce((total, [, amount, unit]) => total + Number(amount) * units[unit!]!, 0);
}
