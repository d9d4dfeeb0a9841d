import type { V1ServiceSpec } from '@kubernetes/client-node';
import { ports } from '../clustersettings.ts';
import { objectNames, selectorOf } from '../names.ts';
import type { KubeObject } from '../runtime/object.ts';
import { type Part, partMetadata } from './part.ts';

/**
 * Gives each shard's pod a name, also while it is not ready: whoever connects checks the shard itself, and a gateway
 * that finds no address would have to wait until names that were not there are asked for again.
 */
export function redisService(part: Part): KubeObject {
  const spec: V1ServiceSpec = {
    clusterIP: 'None',
    publishNotReadyAddresses: true,
    selector: selectorOf(part.ref, 'redis'),
    ports: [{ name: 'redis', port: ports.redis, targetPort: 'redis', protocol: 'TCP', appProtocol: 'redis' }],
  };
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: partMetadata(part, 'redis', objectNames(part.ref).redis),
    spec,
  };
}
