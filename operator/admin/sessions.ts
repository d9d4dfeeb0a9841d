import { problem } from '#queue/problem.ts';
import { apiVersion, kind } from '../examsession.ts';
import type { Api, KubeObject } from '../kubernetes/runtime/api.ts';
import type { Caller, Callers, Wish } from './caller.ts';

/** A session as the admin API tells it. */
export interface AdminSession {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** What the admin wants: Active or Finalizing. */
  readonly wanted: string;
  /** The whole status, as in the resource; null before the operator's first pass. */
  readonly status: unknown;
}

export interface Finalized {
  readonly session: AdminSession;
  /** False when it was asked to finalize before. */
  readonly changed: boolean;
}

/** What a caller can do with sessions. Each rejects with `forbidden` before it tells whether something exists. */
export interface AdminSessions {
  /** Those that the caller may see. */
  list(caller: Caller): Promise<AdminSession[]>;
  read(caller: Caller, namespace: string, name: string): Promise<AdminSession>;
  finalize(caller: Caller, namespace: string, name: string): Promise<Finalized>;
  /** Of the only session that the caller may finalize and that is not over. */
  finalizeOnly(caller: Caller): Promise<Finalized>;
}

/** Who asked for it and when; the audit of the cluster only knows that the operator did it. */
export const finalizedBy = 'untradex.io/finalize-asked-by';

/** Namespaces, or sessions, that are asked about one by one, at most. */
const mostAsked = 200;

/** @param namespaces those that the operator looks at; empty: all */
export function createAdminSessions(api: Api, callers: Callers, namespaces: readonly string[] = []): AdminSessions {
  async function all(): Promise<KubeObject[]> {
    if (namespaces.length === 0) return (await api.list({ apiVersion, kind })).items;
    const lists = await Promise.all(namespaces.map((namespace) => api.list({ apiVersion, kind, namespace })));
    return lists.flatMap(({ items }) => items);
  }

  async function allow(caller: Caller, wish: Wish): Promise<void> {
    if (await callers.may(caller, wish)) return;
    const what = wish.subresource ? `examsessions/${wish.subresource}` : 'examsessions';
    const message = `${caller.username} may not ${wish.verb} ${what} in the namespace ${wish.namespace}`;
    throw problem(
      'forbidden',
      message,
      `bind a role with the verb ${wish.verb} on ${what} of untradex.io to this user`,
    );
  }

  /** Asked for all namespaces at once first; who may not see all is asked about those that have sessions. */
  async function list(caller: Caller): Promise<AdminSession[]> {
    const items = await all();
    if (await callers.may(caller, { verb: 'list' })) return items.map(toldOf);
    const present = [...new Set(items.map(({ metadata }) => metadata.namespace!))].slice(0, mostAsked);
    const asked = present.map(async (namespace) =>
      (await callers.may(caller, { verb: 'list', namespace })) ? namespace : null,
    );
    const open = new Set(await Promise.all(asked));
    return items.filter(({ metadata }) => open.has(metadata.namespace!)).map(toldOf);
  }

  async function find(namespace: string, name: string): Promise<KubeObject> {
    const found = await api.get({ apiVersion, kind, namespace, name });
    if (found !== null) return found;
    throw problem('not_found', `there is no session ${name} in ${namespace}`, 'GET /api/sessions lists them');
  }

  async function read(caller: Caller, namespace: string, name: string): Promise<AdminSession> {
    await allow(caller, { verb: 'get', namespace, name });
    return toldOf(await find(namespace, name));
  }

  async function finalize(caller: Caller, namespace: string, name: string): Promise<Finalized> {
    await allow(caller, { verb: 'update', subresource: 'finalize', namespace, name });
    const found = await find(namespace, name);
    if (toldOf(found).wanted === 'Finalizing') return { session: toldOf(found), changed: false };
    const asked = `${caller.username} at ${new Date().toISOString()}`;
    // The uid is a precondition: a session that was made anew under the name meanwhile is not meant.
    const metadata = { uid: found.metadata.uid, annotations: { [finalizedBy]: asked } };
    const ref = { apiVersion, kind, namespace, name };
    const after = await api.patch(ref, { metadata, spec: { phase: 'Finalizing' } }, { type: 'merge' });
    return { session: toldOf(after), changed: true };
  }

  async function finalizeOnly(caller: Caller): Promise<Finalized> {
    const mine = await finalizable(caller);
    const open = mine.filter(({ status }) => (status as { phase?: string } | null)?.phase !== 'Completed');
    // Asked again after it is over, the answer is the same.
    const meant = open.length === 0 ? mine : open;
    if (meant.length === 1) return finalize(caller, meant[0]!.namespace, meant[0]!.name);
    if (meant.length === 0) {
      const remedy = 'bind a role with the verb update on examsessions/finalize, or make a session';
      throw problem('not_found', `there is no session that ${caller.username} may finalize`, remedy);
    }
    const names = meant.map(({ namespace, name }) => `${namespace}/${name}`).join(', ');
    const remedy = 'say which one: POST /api/sessions/NAMESPACE/NAME/finalize';
    throw problem('several_sessions', `there are ${meant.length} sessions: ${names}`, remedy);
  }

  async function finalizable(caller: Caller): Promise<AdminSession[]> {
    const items = await all();
    const wish = { verb: 'update', subresource: 'finalize' } as const;
    if (await callers.may(caller, wish)) return items.map(toldOf);
    const asked = items.slice(0, mostAsked).map(async (item) => {
      const { namespace, name } = item.metadata;
      return (await callers.may(caller, { ...wish, namespace: namespace!, name })) ? [toldOf(item)] : [];
    });
    return (await Promise.all(asked)).flat();
  }

  return { list, read, finalize, finalizeOnly };
}

function toldOf({ metadata, spec, status }: KubeObject): AdminSession {
  return {
    namespace: metadata.namespace!,
    name: metadata.name,
    uid: metadata.uid!,
    wanted: (spec as { phase?: string } | undefined)?.phase ?? 'Active',
    status: status ?? null,
  };
}
