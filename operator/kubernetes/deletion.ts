import { apiVersion, kind } from '../examsession.ts';
import { claimsOf, letGo, provedAt } from './claims.ts';
import {
  annotationNames,
  type Component,
  finalizers,
  labelNames,
  managedBy,
  objectNames,
  type SessionRef,
} from './names.ts';
import { isOver, type PodView } from './podview.ts';
import type { Api, KubeObject } from './runtime/api.ts';

/**
 * How a session ends that somebody deletes. Our finalizer holds it while its parts are stopped, each step begun when
 * the one before is over:
 *
 *     gateways drain and end ─▶ exporters end ─▶ Redis ends ─▶ claims are let go, or not ─▶ the finalizer is removed
 *
 * Claims are let go when every answer is proved to be in the table, or when the session carries the annotation
 * `untradex.io/delete-unverified` with its uid. Otherwise they keep their finalizer, and so the answers, whatever
 * deletes them: nobody of us does. What belongs to the session goes with it, by its owner references.
 *
 * Nothing here needs the session's identity or keys, so that a session that lost them can be deleted. Steps that were
 * done are found done: an operator that was killed begins at the top.
 */
export interface DeletionStep {
  /** What is waited for; null: all is done, and the session goes. */
  readonly waitsFor: string | null;
  /** Names of claims that keep what they hold, for a person to decide. */
  readonly kept: readonly string[];
}

export function isDeleting({ metadata }: KubeObject): boolean {
  return metadata.deletionTimestamp !== undefined;
}

export function hasFinalizer({ metadata }: KubeObject): boolean {
  return metadata.finalizers?.includes(finalizers.session) === true;
}

/** Puts the finalizer on, before anything is made that it is for. */
export async function addFinalizer(api: Api, { metadata }: KubeObject): Promise<KubeObject> {
  const { namespace, name, uid } = metadata;
  const body = {
    apiVersion,
    kind,
    metadata: { namespace: namespace!, name, uid: uid!, finalizers: [finalizers.session] },
  };
  return api.apply(body, { manager: `${managedBy}-finalizer` });
}

/** @param live the session, just read, being deleted. @param now ms since 1970 */
export async function deleteSession(api: Api, ref: SessionRef, live: KubeObject, now: number): Promise<DeletionStep> {
  for (const [component, stop] of steps) {
    await stop(api, ref);
    const pods = await podsOf(api, ref, component, now);
    if (pods > 0) return { waitsFor: `${pods} ${component} pods to end`, kept: [] };
  }
  const kept = await letClaimsGo(api, ref, live);
  await removeFinalizer(api, live);
  return { waitsFor: null, kept };
}

const steps: readonly (readonly [Component, (api: Api, ref: SessionRef) => Promise<void>])[] = [
  ['gateway', (api, ref) => remove(api, ref, 'apps/v1', 'Deployment', objectNames(ref).gateway)],
  ['exporter', removeJobs],
  ['redis', (api, ref) => remove(api, ref, 'apps/v1', 'StatefulSet', objectNames(ref).redis)],
];

async function remove({ remove }: Api, { namespace }: SessionRef, apiVersion: string, kind: string, name: string) {
  await remove({ apiVersion, kind, namespace, name }, { propagation: 'Background' });
}

async function removeJobs(api: Api, ref: SessionRef): Promise<void> {
  const jobs = await api.list({ apiVersion: 'batch/v1', kind: 'Job', ...selectionOf(ref, 'exporter') });
  for (const { metadata } of jobs.items) await remove(api, ref, 'batch/v1', 'Job', metadata.name);
}

/** How many still work. One whose node is away is not waited for without end: it can do no harm to what is kept. */
async function podsOf(api: Api, ref: SessionRef, component: Component, now: number): Promise<number> {
  const { items } = await api.list({ apiVersion: 'v1', kind: 'Pod', ...selectionOf(ref, component) });
  return (items as PodView[]).filter((pod) => !isOver(pod, now)).length;
}

function selectionOf({ namespace, uid }: SessionRef, component: Component) {
  return { namespace, labelSelector: `${labelNames.uid}=${uid},${labelNames.component}=${component}` };
}

/** @returns the claims that are not let go */
async function letClaimsGo(api: Api, ref: SessionRef, live: KubeObject): Promise<string[]> {
  const claims = (await claimsOf(api, ref)).filter(({ metadata }) => metadata.finalizers?.includes(finalizers.answers));
  if (claims.length === 0) return [];
  const mayGo = live.metadata.annotations?.[annotationNames.deleteUnverified] === ref.uid;
  if (!mayGo && (await provedAt(api, ref, live)) === null) return claims.map(({ metadata }) => metadata.name);
  for (const claim of claims) await letGo(api, claim);
  return [];
}

/** As it was read: whatever was decided on still holds. */
async function removeFinalizer(api: Api, { metadata }: KubeObject): Promise<void> {
  const { namespace, name, uid, resourceVersion, finalizers: all = [] } = metadata;
  const rest = all.filter((one) => one !== finalizers.session);
  const body = { metadata: { uid, resourceVersion, finalizers: rest } };
  await api.patch({ apiVersion, kind, namespace: namespace!, name }, body, { type: 'merge' });
}
