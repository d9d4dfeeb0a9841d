import type { ExamSpec } from '../examsession.ts';
import type { ClusterSettings } from './clustersettings.ts';
import { objectNames, type SessionRef } from './names.ts';

/** Where a session's students find it, and how they get there. Pure. */

/** The path of the hub, and of everything else that students ask for. */
export const hubPath = '/exam';

/** From outside, where the session names a host; else within the cluster only. */
export function urlOf(ref: SessionRef, access: ExamSpec['access'], settings: ClusterSettings): string {
  if (access.host !== undefined) return `https://${access.host}${hubPath}`;
  return `http://${objectNames(ref).gateway}.${ref.namespace}.svc.${settings.clusterDomain}${hubPath}`;
}

/** Pages that may connect. The session's own host is named: a proxy on the way may have changed the Host header. */
export function originsOf({ host, origins }: ExamSpec['access']): readonly string[] {
  return host === undefined ? origins : [...new Set([...origins, `https://${host}`])];
}

/** What leads from the session's host to its gateways; null for nothing. */
export function routeOf({ host, gateway }: ExamSpec['access']): 'Ingress' | 'HTTPRoute' | null {
  if (host === undefined) return null;
  return gateway === undefined ? 'Ingress' : 'HTTPRoute';
}
