import type { V1ServiceSpec } from '@kubernetes/client-node';
import { ports } from '../clustersettings.ts';
import { objectNames, selectorOf } from '../names.ts';
import type { KubeObject } from '../runtime/object.ts';
import { type Part, partMetadata } from './part.ts';

/** The port that routes lead to, and that pods within the cluster use. */
export const servicePort = 80;

/** One address for all gateways. Any of them serves any student, so nothing is sticky. */
export function gatewayService(part: Part): KubeObject {
  const spec: V1ServiceSpec = {
    type: 'ClusterIP',
    selector: selectorOf(part.ref, 'gateway'),
    ports: [
      {
        name: 'http',
        protocol: 'TCP',
        port: servicePort,
        targetPort: ports.gateway,
        // Tells implementations of the Gateway API that connections here become WebSockets (KEP-3726).
        appProtocol: 'kubernetes.io/ws',
      },
    ],
  };
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: partMetadata(part, 'gateway', objectNames(part.ref).gateway),
    spec,
  };
}
