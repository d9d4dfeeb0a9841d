import { apiVersion, kind } from '../examsession.ts';
import type { SessionStatus } from '../status.ts';
import type { SessionCache } from './cache.ts';
import { type Component, labelNames, managedBy } from './names.ts';
import type { Api, KindRef, KubeObject } from './runtime/api.ts';
import { createInformer, type Informer, type InformerTrouble } from './runtime/informer.ts';

/** What the operator follows: all sessions, and of everything else what belongs to one. */
export interface Caches {
  readonly isSynced: boolean;
  readonly synced: Promise<unknown>;
  /** For how long following some kind has failed, ms; 0 while all is well. */
  readonly failingMs: number;
  /** `namespace/name` of all sessions. */
  keys(): string[];
  of(uid: string): SessionCache;
  sizes(): { readonly kind: string; readonly size: number; readonly failingMs: number }[];
  start(): void;
  stop(): Promise<void>;
}

export interface CachesOptions {
  readonly api: Pick<Api, 'pages' | 'watch'>;
  /** Empty: all. */
  readonly namespaces: readonly string[];
  /** Something happened to this session or to a part of it that a pass should see. */
  readonly onChange: (key: string) => void;
  readonly onError: (error: unknown, kind: string, what: InformerTrouble) => void;
  readonly metrics: { watchRestarted(kind: string, reason: string): void };
}

const followed = {
  pods: { apiVersion: 'v1', kind: 'Pod' },
  statefulSets: { apiVersion: 'apps/v1', kind: 'StatefulSet' },
  deployments: { apiVersion: 'apps/v1', kind: 'Deployment' },
  jobs: { apiVersion: 'batch/v1', kind: 'Job' },
  claims: { apiVersion: 'v1', kind: 'PersistentVolumeClaim' },
} as const satisfies Record<string, KindRef>;

export function keyOf({ namespace, name }: { readonly namespace?: string; readonly name: string }): string {
  return `${namespace}/${name}`;
}

export function createCaches(options: CachesOptions): Caches {
  const { onChange } = options;
  const namespaces = options.namespaces.length === 0 ? [undefined] : options.namespaces;
  /**
   * What of a session matters to a pass. Its status is the passes' own work, but a backup may bring another one: then
   * also a session that is over is looked at.
   */
  const wishes = new Map<string, string>();

  function follow(of: KindRef, selected: boolean, tell: (key: string, object: KubeObject | null) => void): Informer[] {
    return namespaces.map((namespace) =>
      createInformer({
        ...{ api: options.api, kind: of, metrics: options.metrics },
        ...(namespace !== undefined && { namespace }),
        ...(selected && { labelSelector: `${labelNames.managedBy}=${managedBy}`, indexLabel: labelNames.uid }),
        onChange: (key, object) => tell(keyOf(key), object),
        onError: (error, what) => options.onError(error, of.kind, what),
      }),
    );
  }

  function onSession(key: string, session: KubeObject | null): void {
    const wish = session === null ? undefined : wishOf(session);
    const isSame = wish !== undefined && wishes.get(key) === wish;
    if (wish === undefined) wishes.delete(key);
    else wishes.set(key, wish);
    if (!isSame) onChange(key);
  }

  const sessions = follow({ apiVersion, kind }, false, onSession);
  const parts = Object.fromEntries(
    Object.entries(followed).map(([what, of]) => [what, followParts(of)]),
  ) as unknown as Readonly<Record<keyof typeof followed, Informer[]>>;

  /** What goes does not say whose it was to those who ask by its name: so each kind remembers. */
  function followParts(of: KindRef): Informer[] {
    const owners = new Map<string, string>();
    return follow(of, true, (key, object) => {
      const owner = object === null ? owners.get(key) : sessionKeyOf(object);
      if (object === null || owner === undefined) owners.delete(key);
      else owners.set(key, owner);
      if (owner !== undefined) onChange(owner);
    });
  }

  const all = [...sessions, ...Object.values(parts).flat()];
  const kinds: readonly (readonly [string, Informer[]])[] = [
    [kind, sessions],
    ...(Object.keys(followed) as (keyof typeof followed)[]).map((what) => [followed[what].kind, parts[what]] as const),
  ];
  const byUid = (informers: readonly Informer[], uid: string) => informers.flatMap((informer) => informer.byLabel(uid));

  return {
    get isSynced() {
      return all.every((informer) => informer.isSynced);
    },
    synced: Promise.all(all.map((informer) => informer.synced)),
    get failingMs() {
      return Math.max(...all.map((informer) => informer.failingMs));
    },
    keys: () => sessions.flatMap((informer) => informer.list().map(({ metadata }) => keyOf(metadata))),
    of: (uid) => ({
      pods: (component) => byUid(parts.pods, uid).filter((pod) => component === undefined || isOf(pod, component)),
      statefulSet: () => byUid(parts.statefulSets, uid)[0] ?? null,
      deployment: () => byUid(parts.deployments, uid)[0] ?? null,
      jobs: () => byUid(parts.jobs, uid),
      claims: () => byUid(parts.claims, uid),
    }),
    sizes: () =>
      kinds.flatMap(([of, informers]) => informers.map(({ size, failingMs }) => ({ kind: of, size, failingMs }))),
    start() {
      for (const informer of all) informer.start();
    },
    async stop() {
      await Promise.all(all.map((informer) => informer.stop()));
    },
  };
}

function isOf({ metadata }: KubeObject, component: Component): boolean {
  return metadata.labels?.[labelNames.component] === component;
}

function sessionKeyOf({ metadata }: KubeObject): string | undefined {
  const name = metadata.labels?.[labelNames.session];
  return name === undefined ? undefined : keyOf({ namespace: metadata.namespace ?? '', name });
}

function wishOf({ metadata, status }: KubeObject): string {
  const { uid, generation, annotations, deletionTimestamp, finalizers } = metadata;
  const { phase, sealing, redis } = (status ?? {}) as Partial<Pick<SessionStatus, 'phase' | 'sealing' | 'redis'>>;
  return JSON.stringify([uid, generation, annotations, deletionTimestamp, finalizers, phase, sealing, redis?.root]);
}
