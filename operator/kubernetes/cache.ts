import type { Component } from './names.ts';
import type { KubeObject } from './runtime/object.ts';

/**
 * What the operator's caches have of one session: objects that carry its uid, a moment old at most as a rule. A cache
 * may lag: nothing is destroyed by what only it says. Its objects must not be changed.
 */
export interface SessionCache {
  /** Its pods; of one program when `component` is given. */
  pods(component?: Component): readonly KubeObject[];
  statefulSet(): KubeObject | null;
  deployment(): KubeObject | null;
  jobs(): readonly KubeObject[];
  claims(): readonly KubeObject[];
}
