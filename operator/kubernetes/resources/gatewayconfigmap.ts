import { digestOf } from '../digest.ts';
import { type GatewayConfig, gatewayFiles } from '../gatewayconfig.ts';
import { objectNames } from '../names.ts';
import type { KubeObject } from '../runtime/object.ts';
import { type Part, partMetadata } from './part.ts';

/**
 * A gateway's configuration, named by its content and never changed: a pod that is started again finds the very
 * configuration that it was made with, also while others are already made with the next one.
 */
export function gatewayConfigMap(part: Part, config: GatewayConfig): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: partMetadata(part, 'gateway', `${objectNames(part.ref).gateway}-${digestOf(config)}`),
    immutable: true,
    data: { [gatewayFiles.config]: `${JSON.stringify(config, null, 2)}\n` },
  };
}
