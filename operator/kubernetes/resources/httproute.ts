import type { ExamSpec } from '../../examsession.ts';
import { hubPath } from '../access.ts';
import { objectNames } from '../names.ts';
import type { KubeObject } from '../runtime/object.ts';
import { servicePort } from './gatewayservice.ts';
import { type Part, partMetadata } from './part.ts';

type Access = ExamSpec['access'];
type ParentGateway = NonNullable<Access['gateway']>;

/**
 * Leads a host to the gateways through a Gateway of the Gateway API, which holds the certificate. No timeouts are
 * set: they are an extended feature, and the default of none is what a WebSocket needs.
 */
export function httpRoute(
  part: Part,
  { host, gateway }: Access & { readonly host: string; readonly gateway: ParentGateway },
): KubeObject {
  const name = objectNames(part.ref).gateway;
  const parent = {
    ...{ group: 'gateway.networking.k8s.io', kind: 'Gateway', name: gateway.name },
    ...(gateway.namespace !== undefined && { namespace: gateway.namespace }),
    ...(gateway.section !== undefined && { sectionName: gateway.section }),
  };
  const backend = { group: '', kind: 'Service', name, port: servicePort, weight: 1 };
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: partMetadata(part, 'gateway', name),
    spec: {
      parentRefs: [parent],
      hostnames: [host],
      rules: [{ matches: [{ path: { type: 'PathPrefix', value: hubPath } }], backendRefs: [backend] }],
    },
  };
}
