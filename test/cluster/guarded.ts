import { expect } from 'vitest';
import { stringify } from 'yaml';
import { sessionOf } from '#crds/page.ts';
import { type ApiServerOptions, type Reply, startApiServer, type TestApiServer } from '#test/support/apiserver.ts';
import { until } from '#test/support/until.ts';
import { type Manifest, releaseNamespace, render } from './helm.ts';

export const mergePatch = 'application/merge-patch+json';
export const group = '/apis/untradex.io/v1alpha1';
export const pathOf = (namespace: string, name: string) => `${group}/namespaces/${namespace}/examsessions/${name}`;
export const messageOf = ({ body }: Reply) => String(body.message);

export interface Wanted {
  readonly finalizers?: readonly string[];
  readonly spec?: object;
  readonly status?: object | ((uid: string) => object);
}

/** An API server with what the chart installs, but the operator itself. */
export interface Guarded {
  readonly cluster: TestApiServer;
  /** Gives a user cluster roles of the chart. */
  bind(user: string, ...roles: string[]): Promise<void>;
  makeNamespace(name: string): Promise<void>;
  /** Makes a session as the admin; resolves with its uid. */
  make(namespace: string, name: string, wanted?: Wanted): Promise<string>;
  /** A merge patch, as the admin or as the user of this token. */
  edit(namespace: string, name: string, body: object, token?: string): Promise<Reply>;
  remove(namespace: string, name: string): Promise<Reply>;
  /** Takes all finalizers off. */
  release(namespace: string, name: string): Promise<Reply>;
}

export async function startGuarded(
  values: Readonly<Record<string, unknown>>,
  options: ApiServerOptions = {},
): Promise<Guarded> {
  const cluster = await startApiServer(options);

  const makeNamespace = async (name: string) => {
    const made = await cluster.call('POST', '/api/v1/namespaces', { body: { metadata: { name } } });
    expect(made, messageOf(made)).toMatchObject({ status: 201 });
  };
  const edit = (namespace: string, name: string, body: object, token?: string) =>
    cluster.call('PATCH', pathOf(namespace, name), { body, contentType: mergePatch, ...(token && { token }) });

  for (const name of [releaseNamespace, ...((values.watchNamespaces as string[] | undefined) ?? [])])
    await makeNamespace(name);
  await apply(cluster, await render(values));

  return {
    ...{ cluster, makeNamespace, edit },
    async bind(user, ...roles) {
      for (const role of roles) {
        const subject = ['clusterrolebinding', `${user}-${role}`, `--clusterrole=${role}`, `--user=${user}`];
        expect((await cluster.kubectl(['create', ...subject])).code).toBe(0);
      }
    },
    async make(namespace, name, { finalizers = [], spec, status } = {}) {
      const body = { ...sessionOf({ students: 10, ...spec }), metadata: { name, finalizers } };
      const made = await cluster.call('POST', `${group}/namespaces/${namespace}/examsessions`, { body });
      expect(made, messageOf(made)).toMatchObject({ status: 201 });
      const { uid } = made.body.metadata as { uid: string };
      if (status === undefined) return uid;
      const written = { status: typeof status === 'function' ? status(uid) : status };
      const path = `${pathOf(namespace, name)}/status`;
      const reply = await cluster.call('PATCH', path, { body: written, contentType: mergePatch });
      expect(reply, messageOf(reply)).toMatchObject({ status: 200 });
      return uid;
    },
    remove: (namespace, name) => cluster.call('DELETE', pathOf(namespace, name)),
    release: (namespace, name) => edit(namespace, name, { metadata: { finalizers: [] } }),
  };
}

/** The definition first. Hooks are for Helm to run. */
async function apply(cluster: TestApiServer, manifests: readonly Manifest[]): Promise<void> {
  const kept = manifests.filter(({ metadata }) => !metadata.annotations?.['helm.sh/hook']);
  const isDefinition = ({ kind }: Manifest) => kind === 'CustomResourceDefinition';
  for (const part of [kept.filter(isDefinition), kept.filter((manifest) => !isDefinition(manifest))]) {
    const yaml = part.map((manifest) => stringify(manifest)).join('---\n');
    const applied = await cluster.kubectl(['apply', '--server-side', '-f', '-'], yaml);
    expect(applied.code, applied.stderr).toBe(0);
    const served = async () => (await cluster.call('GET', `${group}/examsessions`)).status === 200;
    await until(served, { what: 'the resource', timeoutMs: 30_000 });
  }
}

/** The API server learns policies a little later than it stores them. Sessions in `namespace` are refused to go. */
export async function untilInForce({ make, remove, release }: Guarded, namespace = 'default'): Promise<void> {
  const probe = async () => {
    await make(namespace, 'probe', { finalizers: ['untradex.io/session'] });
    const refused = (await remove(namespace, 'probe')).status === 403;
    await release(namespace, 'probe');
    return refused;
  };
  await until(probe, { what: 'the policies', timeoutMs: 60_000 });
}
