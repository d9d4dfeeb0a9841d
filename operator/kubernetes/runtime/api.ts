import type { KubeConfig } from '@kubernetes/client-node';
import { type ApiCall, type ApiCalls, type ApiCallsOptions, createApiCalls } from './apicalls.ts';
import { collectionPath, type KindRef, objectPath, resourceOf } from './kinds.ts';
import type { KubeObject } from './object.ts';
import { type WatchEvent, type WatchOptions, type WatchTarget, watch } from './watch.ts';

export type { KindRef } from './kinds.ts';
export type { KubeObject, ObjectMeta, OwnerReference } from './object.ts';
export type { WatchEvent, WatchOptions } from './watch.ts';

export interface ObjectRef extends KindRef {
  /** Left out for kinds without namespaces only. */
  readonly namespace?: string;
  readonly name: string;
}

export interface ListQuery extends KindRef {
  /** All namespaces when left out. */
  readonly namespace?: string;
  /** `a=b,c!=d` */
  readonly labelSelector?: string;
  /** `metadata.name=x` */
  readonly fieldSelector?: string;
}

export interface KubeList {
  readonly items: KubeObject[];
  /** Where a watch goes on from. */
  readonly resourceVersion: string;
}

export interface ApplyOptions {
  /** The field manager, who owns what it applies. */
  readonly manager: string;
  /** Takes fields over from other managers; true when left out, since a controller has nobody to ask. */
  readonly force?: boolean;
  readonly subresource?: 'status';
}

export interface PatchOptions {
  readonly type: 'merge' | 'json' | 'apply';
  readonly subresource?: 'status' | 'scale';
  readonly manager?: string;
}

export interface RemoveOptions {
  /** Only the object with this uid, and not one that was made under its name since. */
  readonly uid?: string;
  /** Only when nobody changed it since. */
  readonly resourceVersion?: string;
  /** `Background` when left out. */
  readonly propagation?: 'Background' | 'Foreground' | 'Orphan';
}

/**
 * The Kubernetes API for objects of any kind in kinds.ts. Every call rejects with a Problem: `api_conflict`,
 * `api_exists`, `api_not_found`, `api_forbidden`, `api_terminating` (the namespace is being deleted), `api_invalid`,
 * `api_throttled`, `api_unauthorized`, `api_unreachable`, `api_timeout`, `api_gone`, `api_failed` (any other reply),
 * or what the fence threw. When a write rejects with `api_unreachable` or `api_timeout`, it may have happened.
 */
export interface Api {
  /** Null when there is none. Read from etcd, never stale. */
  get(ref: ObjectRef): Promise<KubeObject | null>;
  /** All of them, read page by page. For many objects `pages` needs less memory. */
  list(query: ListQuery, options?: { readonly limit?: number }): Promise<KubeList>;
  /** The pages of one consistent list. `api_gone` when it took so long that the rest of it is no longer known. */
  pages(
    query: ListQuery,
    options?: { readonly limit?: number; readonly signal?: AbortSignal },
  ): AsyncGenerator<KubeList>;
  create(object: KubeObject): Promise<KubeObject>;
  /** Server-side apply: makes it, or sets the given fields and removes those that this manager no longer gives. */
  apply(object: KubeObject, options: ApplyOptions): Promise<KubeObject>;
  /** Replaces the whole object; `api_conflict` unless `metadata.resourceVersion` is still the newest. */
  update(object: KubeObject): Promise<KubeObject>;
  patch(ref: ObjectRef, body: unknown, options: PatchOptions): Promise<KubeObject>;
  /** True when it is gone or going; false when there was none. `api_conflict` when a precondition does not hold. */
  remove(ref: ObjectRef, options?: RemoveOptions): Promise<boolean>;
  /** Resolves when the server ends the watch, or `signal` is given; see {@link watch}. */
  watch(query: ListQuery, options: WatchOptions, onEvent: (event: WatchEvent) => void): Promise<void>;
  /**
   * Any other request: TokenReview, SubjectAccessReview, logs. Resolves with the parsed JSON, or with the text when
   * it is none. What is not GET is fenced, reviews excepted: they change nothing.
   */
  raw(method: string, path: string, body?: unknown): Promise<unknown>;
  /** Ends all connections; calls that are under way reject. */
  close(): void;
}

export interface ApiOptions extends ApiCallsOptions {
  /** Name and version of the program, for the audit log of the cluster. */
  readonly userAgent: string;
  /** Refuse fields that the server does not know, instead of dropping them. For tests: clusters differ in age. */
  readonly strict?: boolean;
}

const patchTypes = {
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
  apply: 'application/apply-patch+yaml',
} as const;

const pageLimit = 500;
/** How often `list` begins again when its pages expired meanwhile. */
const mostListTries = 3;

export function createApi(kubeConfig: KubeConfig, options: ApiOptions): Api {
  const calls = createApiCalls(kubeConfig, options);
  const query = (values: Record<string, string | undefined>) =>
    queryText(options.strict ? { fieldValidation: 'Strict', ...values } : values);
  const object = async (call: ApiCall) => (await calls.json(call)) as KubeObject;

  async function* pages(of: ListQuery, { limit = pageLimit, signal }: { limit?: number; signal?: AbortSignal } = {}) {
    for (let next: string | undefined = ''; next !== undefined; ) {
      const path = `${collectionPath(of)}${selection(of, { limit: String(limit), continue: next || undefined })}`;
      const list = (await calls.json({ verb: 'list', method: 'GET', path, ...about(of), signal })) as ListReply;
      next = list.metadata.continue || undefined;
      yield { items: list.items.map((item) => withKind(item, of)), resourceVersion: list.metadata.resourceVersion };
    }
  }

  return {
    get: async (ref) => orNull(object({ verb: 'get', method: 'GET', path: objectPath(ref), ...about(ref) })),
    pages,
    list: async (of, listOptions) => listAll(() => pages(of, listOptions)),
    create: async (body) =>
      object({ verb: 'create', method: 'POST', path: collectionPath(at(body)) + query({}), body, ...about(at(body)) }),
    async apply(body, { manager, force = true, subresource }) {
      const options = { type: 'apply', manager, ...(subresource && { subresource }) } as const;
      return patch(at(body), body, options, force);
    },
    update: async (body) =>
      object({ verb: 'update', method: 'PUT', path: objectPath(at(body)) + query({}), body, ...about(at(body)) }),
    patch: async (ref, body, patchOptions) => patch(ref, body, patchOptions, false),
    async remove(ref, { uid, resourceVersion, propagation = 'Background' } = {}) {
      const body = {
        ...{ apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: propagation },
        preconditions: { ...(uid && { uid }), ...(resourceVersion && { resourceVersion }) },
      };
      const removal = calls.json({ verb: 'delete', method: 'DELETE', path: objectPath(ref), body, ...about(ref) });
      return (await orNull(removal)) !== null;
    },
    watch: async (of, watchOptions, onEvent) => watch(watchTarget(calls, of), watchOptions, onEvent),
    raw: async (method, path, body) => calls.any(rawCall(method, path, body)),
    close: calls.close,
  };

  function patch(ref: ObjectRef, body: unknown, { type, subresource, manager }: PatchOptions, force: boolean) {
    const values = { fieldManager: manager, force: force ? 'true' : undefined };
    const path = `${objectPath(ref)}${subresource ? `/${subresource}` : ''}${query(values)}`;
    const asked = { verb: 'patch', ...about(ref), subresource };
    return object({ ...asked, method: 'PATCH', path, body, contentType: patchTypes[type] });
  }
}

function watchTarget(calls: ApiCalls, of: ListQuery): WatchTarget {
  const asked = { verb: 'watch', ...about(of) };
  return {
    asked,
    path: collectionPath(of),
    query: (values) => selection(of, values),
    open: (path, signal) => calls.open({ ...asked, method: 'GET', path, signal }),
  };
}

interface ListReply {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string };
  readonly items: KubeObject[];
}

/** For errors: what the call is about. */
function about(ref: KindRef & { namespace?: string; name?: string }) {
  return { resource: resourceOf(ref), namespace: ref.namespace, name: ref.name };
}

function at({ apiVersion, kind, metadata: { name, namespace } }: KubeObject): ObjectRef {
  return { apiVersion, kind, name, ...(namespace !== undefined && { namespace }) };
}

/** Items of a list come without them. */
function withKind(item: KubeObject, { apiVersion, kind }: KindRef): KubeObject {
  return { ...item, apiVersion, kind };
}

async function listAll(start: () => AsyncGenerator<KubeList>): Promise<KubeList> {
  for (let tries = 1; ; tries++) {
    try {
      const items: KubeObject[] = [];
      let resourceVersion = '';
      for await (const page of start()) {
        items.push(...page.items);
        resourceVersion = page.resourceVersion;
      }
      return { items, resourceVersion };
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'api_gone' || tries === mostListTries) throw error;
    }
  }
}

async function orNull<T>(promise: Promise<T>): Promise<T | null> {
  try {
    return await promise;
  } catch (error) {
    if ((error as { code?: unknown }).code === 'api_not_found') return null;
    throw error;
  }
}

function selection({ labelSelector, fieldSelector }: ListQuery, values: Record<string, string | undefined>): string {
  return queryText({ labelSelector, fieldSelector, ...values });
}

function queryText(values: Record<string, string | undefined>): string {
  const given = Object.entries(values).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return given.length === 0 ? '' : `?${new URLSearchParams(given)}`;
}

/** Reviews are asked by POST, and change nothing. */
function rawCall(method: string, path: string, body: unknown): ApiCall {
  const review = /^\/apis\/(authentication|authorization)\.k8s\.io\//.test(path);
  const [plain = path] = path.split('?');
  const resource = { group: '', plural: plain, namespaced: false };
  return { verb: method.toLowerCase(), method, path, body, resource, harmless: method === 'GET' || review };
}
