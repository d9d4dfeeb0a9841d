import { apiVersion, kind } from '#operator/examsession.ts';
import type { Api, KubeObject } from '#operator/kubernetes/runtime/api.ts';
import { isProblem, problem } from '#queue/problem.ts';

/** Sessions of a namespace; of all namespaces when it is null. @throws Problem `not_installed` */
export async function listSessions(api: Api, namespace: string | null): Promise<KubeObject[]> {
  try {
    const { items } = await api.list({ apiVersion, kind, ...(namespace !== null && { namespace }) });
    return items;
  } catch (error) {
    if (!isProblem(error) || error.code !== 'api_not_found') throw error;
    const remedy = 'install it: helm install untradex charts/untradex -n untradex-system --create-namespace';
    throw problem('not_installed', 'this cluster knows no ExamSessions', remedy, { cause: error });
  }
}

/** @throws Problem `session_unknown` that names those that are there */
export async function findSession(api: Api, namespace: string, name: string | undefined): Promise<KubeObject> {
  if (name !== undefined) {
    const found = await api.get({ apiVersion, kind, namespace, name });
    if (found !== null) return found;
  }
  const items = await listSessions(api, namespace).catch((error: unknown) => {
    // Who may read a session by its name need not be allowed to list them.
    if (name !== undefined && isProblem(error) && error.code === 'api_forbidden') return [];
    throw error;
  });
  if (name === undefined && items.length === 1) return items[0]!;
  throw unknown(namespace, name, items);
}

function unknown(namespace: string, name: string | undefined, items: readonly KubeObject[]) {
  const names = items.map(({ metadata }) => metadata.name).join(', ');
  const remedy = names === '' ? 'see those of all namespaces: kubectl untradex status -A' : `name one of: ${names}`;
  if (name !== undefined) {
    return problem('session_unknown', `there is no session ${name} in the namespace ${namespace}`, remedy);
  }
  const many = `there are ${items.length} sessions in the namespace ${namespace}`;
  const none = `there is no session in the namespace ${namespace}`;
  return problem('session_unknown', items.length === 0 ? none : many, remedy);
}
