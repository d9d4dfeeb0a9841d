import type { ExamSession } from '#operator/examsession.ts';
import { objectNames, type SessionRef } from '#operator/kubernetes/names.ts';
import type { Api, KubeObject } from '#operator/kubernetes/runtime/api.ts';
import { isProblem } from '#queue/problem.ts';
import type { SecretValue } from './scrubber.ts';

/** What may be told of a Secret. */
export interface SecretNames {
  readonly name: string;
  /** Null: it may not be read, or there is none. */
  readonly keys: readonly string[] | null;
  readonly why?: string;
}

export interface SecretsFound {
  readonly names: readonly SecretNames[];
  /** To keep them out of the bundle. */
  readonly values: readonly SecretValue[];
}

/** The Secrets of a session: its own, and those that it names. */
export async function readSecrets(api: Api, ref: SessionRef, session: ExamSession): Promise<SecretsFound> {
  const names: SecretNames[] = [];
  const values: SecretValue[] = [];
  for (const name of secretNames(ref, session)) {
    try {
      const found = await api.get({ apiVersion: 'v1', kind: 'Secret', namespace: ref.namespace, name });
      names.push(found === null ? { name, keys: null, why: 'there is none' } : { name, keys: keysOf(found) });
      for (const [key, text] of entriesOf(found))
        values.push({ secret: name, key, bytes: Buffer.from(text, 'base64') });
    } catch (error) {
      if (!isProblem(error) || error.code !== 'api_forbidden') throw error;
      names.push({ name, keys: null, why: 'it may not be read' });
    }
  }
  return { names, values };
}

function secretNames(ref: SessionRef, { spec }: ExamSession): string[] {
  const { auth, access, export: to } = spec;
  const named = [
    ...Object.values(objectNames(ref).secrets),
    auth.secretRef?.name,
    to.postgres?.credentialsSecret,
    access?.tlsSecret ?? (access?.host === undefined ? undefined : `${ref.name}-tls`),
  ];
  return [...new Set(named.filter((name) => name !== undefined))];
}

function entriesOf(secret: KubeObject | null): [string, string][] {
  return Object.entries((secret?.data ?? {}) as Record<string, string>);
}

function keysOf(secret: KubeObject): string[] {
  return entriesOf(secret).map(([key]) => key);
}
