import { objectNames } from '../names.ts';
import type { KubeObject } from '../runtime/object.ts';
import { type Part, partMetadata } from './part.ts';

/** An account without rights and without a token: a gateway never speaks to the API server. */
export function gatewayAccount(part: Part): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: partMetadata(part, 'gateway', objectNames(part.ref).gateway),
    automountServiceAccountToken: false,
  };
}
