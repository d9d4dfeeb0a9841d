import { setTimeout as sleep } from 'node:timers/promises';
import { apiVersion, type ExamSession, examSessionSchema, kind } from '#operator/examsession.ts';
import { objectNames, type SessionRef } from '#operator/kubernetes/names.ts';
import type { Api, KubeObject } from '#operator/kubernetes/runtime/api.ts';
import { readStatus } from '#operator/statusschema.ts';
import { problem } from '#queue/problem.ts';
import type { Place, PlaceOptions, PlaceStatus } from '../place.ts';
import { createMint, type TokenMint } from '../studenttoken.ts';
import { type Connection, connectCluster } from './connection.ts';
import { patiently } from './patience.ts';
import { findSession } from './sessions.ts';

/** A session on a cluster, with what only the commands for clusters use. */
export interface ClusterPlace extends Place {
  readonly connection: Connection;
  readonly api: Api;
  readonly ref: SessionRef;
  /** The object as it was read. */
  readonly object: KubeObject;
}

/** How often the session is read while somebody waits for it. */
const pollMs = 1_000;

export async function openClusterPlace(options: PlaceOptions, name: string | undefined): Promise<ClusterPlace> {
  const connection = connectCluster(options);
  const { api, namespace } = connection;
  const object = await findSession(api, namespace, name);
  const { metadata } = object;
  const ref = { namespace, name: metadata.name, uid: metadata.uid! };
  const session = sessionOf(object);
  const words = `${ref.name} -n ${namespace}`;

  const read = async () => readStatus((await live()).status);

  /** A session that was made anew under the name is another one. */
  async function live(): Promise<KubeObject> {
    const found = await api.get({ apiVersion, kind, namespace, name: ref.name });
    if (found?.metadata.uid === ref.uid) return found;
    throw problem(
      'session_unknown',
      `${ref.name} in ${namespace} was deleted meanwhile`,
      'see those that are there: kubectl untradex status -A',
    );
  }

  async function* followStatus(signal: AbortSignal): AsyncGenerator<PlaceStatus> {
    for (let last = ''; !signal.aborted; ) {
      const status = await patiently(signal, read).catch((error: unknown) => {
        if (signal.aborted) return null;
        throw error;
      });
      const text = JSON.stringify(status);
      if (status !== null && text !== last) {
        last = text;
        yield status;
      }
      await sleep(pollMs, undefined, { signal }).catch(() => {}); // The loop's condition sees the abort.
    }
  }

  return {
    ...{ connection, api, ref, object, session, words, followStatus },
    readStatus: read,
    async finalize() {
      const found = await live();
      if ((found.spec as { phase?: string }).phase === 'Finalizing') return false;
      const body = { metadata: { uid: ref.uid }, spec: { phase: 'Finalizing' } };
      await api.patch({ apiVersion, kind, namespace, name: ref.name }, body, { type: 'merge' });
      return true;
    },
    mint: () => openMint(api, ref, session),
    idle: () => 'nothing moves: see `kubectl get pods -A -l app.kubernetes.io/name=untradex-operator`',
  };
}

function sessionOf({ metadata, spec }: KubeObject): ExamSession {
  const { data, error } = examSessionSchema.safeParse({ apiVersion, kind, metadata: { name: metadata.name }, spec });
  if (data !== undefined) return data;
  const message = `the session ${metadata.name} is of another version than this program: ${error.issues[0]?.message}`;
  throw problem('session_invalid', message, 'use the version of the operator: `kubectl untradex --version`');
}

/** Its own signing key, or the one that the session names; whoever calls must be allowed to read that Secret. */
async function openMint(api: Api, ref: SessionRef, { metadata, spec }: ExamSession): Promise<TokenMint> {
  const { auth, rehearsal } = spec;
  if (auth.jwksUrl !== undefined) {
    const message = `the session believes tokens of ${auth.jwksUrl} and has no signing key of its own`;
    throw problem('no_signing_key', message, 'get tokens from that identity provider');
  }
  const { name, key } = auth.secretRef ?? { name: objectNames(ref).secrets.gateway, key: 'token.key' };
  const secret = await api.get({ apiVersion: 'v1', kind: 'Secret', namespace: ref.namespace, name });
  const found = (secret?.data as Record<string, string> | undefined)?.[key];
  if (found === undefined) {
    const message = `the Secret ${name} with the signing key ${key} is not there`;
    throw problem('no_signing_key', message, 'wait until the session is provisioned, or mend spec.auth.secretRef');
  }
  const text = Buffer.from(found, 'base64').toString().trim();
  const claims = { audience: auth.audience ?? metadata.name, issuer: auth.issuer, rehearsal };
  return createMint(Buffer.from(text, 'base64url'), claims);
}
