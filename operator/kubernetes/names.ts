/**
 * Names and labels of everything that a session gets on a cluster. Pure: they follow from the session's name,
 * namespace and uid, so whoever knows these finds everything.
 *
 * A piece of the uid is in each name, so that a session that was deleted and made again never meets the old one's
 * volumes: a StatefulSet binds whatever claim has the right name.
 */
export interface SessionRef {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

export const managedBy = 'untradex';

export const labelNames = {
  managedBy: 'app.kubernetes.io/managed-by',
  app: 'app.kubernetes.io/name',
  instance: 'app.kubernetes.io/instance',
  component: 'app.kubernetes.io/component',
  session: 'untradex.io/session',
  uid: 'untradex.io/session-uid',
  attempt: 'untradex.io/attempt',
} as const;

export const annotationNames = {
  /** On a session, "true": its operator only looks. */
  paused: 'untradex.io/paused',
  /** On a session, its uid: it may be deleted though it is not verified. */
  deleteUnverified: 'untradex.io/delete-unverified',
  /** On workloads: a digest of what they were made from, and the version of the operator that made them. */
  inputs: 'untradex.io/inputs',
  madeBy: 'untradex.io/made-by',
  /** On shards' pods: the incarnations of all shards, in order, as the pod was made with them (a JSON array). */
  incarnations: 'untradex.io/incarnations',
} as const;

export const finalizers = {
  /** On a session: its parts are stopped in order before it goes. */
  session: 'untradex.io/session',
  /** On volume claims: nobody deletes answers that are not proved to be in the table. */
  answers: 'untradex.io/keep-answers',
} as const;

/** redis, gateway, exporter: programs. session: what belongs to none of them. */
export type Component = 'redis' | 'gateway' | 'exporter' | 'session';

/** `algebra-1a2b3c4d`: at most 45 characters, so that every suffix still fits in 63, and in 52 for a StatefulSet. */
export function baseName({ name, uid }: SessionRef): string {
  return `${name.slice(0, 36).replace(/-+$/, '')}-${uid.replaceAll('-', '').slice(0, 8)}`;
}

export function objectNames(ref: SessionRef) {
  const base = baseName(ref);
  return {
    base,
    /** ConfigMap: who the session is. */
    identity: `${base}-identity`,
    /** ConfigMap: the last admissible session and roster. */
    inForce: `${base}-in-force`,
    /** StatefulSet and its headless Service. */
    redis: `${base}-redis`,
    /** Claim of a shard, as a StatefulSet names it. */
    redisClaim: (shard: number) => `data-${base}-redis-${shard}`,
    redisPod: (shard: number) => `${base}-redis-${shard}`,
    /** Deployment, Service, route, autoscaler. */
    gateway: `${base}-gateway`,
    /** ServiceAccount of the exporter's pods, and the claim that keeps database, archive and report. */
    exporter: `${base}-exporter`,
    exportClaim: `${base}-export`,
    /** ConfigMap and prefix of the Jobs of an attempt. */
    attempt: (attempt: number) => `${base}-attempt-${attempt}`,
    loadJob: (attempt: number) => `${base}-load-${attempt}`,
    publishJob: (attempt: number) => `${base}-publish-${attempt}`,
    /** Secrets: one a program, so that none sees the others'. */
    secrets: {
      operator: `${base}-operator-keys`,
      gateway: `${base}-gateway-keys`,
      exporter: `${base}-exporter-keys`,
      redis: `${base}-redis-accounts`,
    },
  } as const;
}

export function labelsOf(ref: SessionRef, component: Component): Record<string, string> {
  return { ...selectorOf(ref, component), [labelNames.managedBy]: managedBy, [labelNames.session]: ref.name };
}

/** The labels that select the pods of one component; they never change. */
export function selectorOf(ref: SessionRef, component: Component): Record<string, string> {
  return {
    [labelNames.app]: managedBy,
    [labelNames.instance]: baseName(ref),
    [labelNames.component]: component,
    [labelNames.uid]: ref.uid,
  };
}

/** The same as the API's list takes it. */
export function selectorText(ref: SessionRef, component: Component): string {
  return Object.entries(selectorOf(ref, component))
    .map(([name, value]) => `${name}=${value}`)
    .join(',');
}
