import { objectNames } from '../names.ts';
import type { KubeObject } from '../runtime/object.ts';
import { type Part, partMetadata } from './part.ts';

/** An account without rights and without a token: an exporter never speaks to the API server. */
export function exporterAccount(part: Part): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: partMetadata(part, 'exporter', objectNames(part.ref).exporter),
    automountServiceAccountToken: false,
  };
}
