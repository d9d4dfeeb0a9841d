import type { V1IngressSpec } from '@kubernetes/client-node';
import type { ExamSpec } from '../../examsession.ts';
import { hubPath } from '../access.ts';
import { objectNames } from '../names.ts';
import type { KubeObject } from '../runtime/object.ts';
import { servicePort } from './gatewayservice.ts';
import { type Part, partMetadata } from './part.ts';

/** Who speaks the hub's protocol pings every 15 s, so a connection is never silent for as long as this. */
const idleSeconds = 3_600;

/**
 * What common controllers need to be told about long connections. Each reads its own annotations and ignores the
 * others', so all are given whatever the class is: classes have any name.
 */
const longConnections = {
  // ingress-nginx: 60 s otherwise.
  'nginx.ingress.kubernetes.io/proxy-read-timeout': `${idleSeconds}`,
  'nginx.ingress.kubernetes.io/proxy-send-timeout': `${idleSeconds}`,
  // HAProxy, the community's controller and HAProxy Technologies'.
  'haproxy-ingress.github.io/timeout-tunnel': `${idleSeconds}s`,
  'haproxy.org/timeout-tunnel': `${idleSeconds}s`,
  // Contour refuses upgrades on paths that are not named.
  'projectcontour.io/websocket-routes': hubPath,
} as const;

/** Leads a host to the gateways, by TLS. @param access must name a host */
export function ingress(part: Part, access: ExamSpec['access'] & { readonly host: string }): KubeObject {
  const { host, tlsSecret, ingressClass } = access;
  const name = objectNames(part.ref).gateway;
  const backend = { service: { name, port: { number: servicePort } } };
  const spec: V1IngressSpec = {
    ...(ingressClass !== undefined && { ingressClassName: ingressClass }),
    tls: [{ hosts: [host], secretName: tlsSecret ?? `${part.ref.name}-tls` }],
    rules: [{ host, http: { paths: [{ path: hubPath, pathType: 'Prefix', backend }] } }],
  };
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: { ...partMetadata(part, 'gateway', name), annotations: longConnections },
    spec,
  };
}
