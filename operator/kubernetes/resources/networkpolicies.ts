import type { V1NetworkPolicyPeer } from '@kubernetes/client-node';
import { type ClusterSettings, ports } from '../clustersettings.ts';
import { type Component, objectNames, selectorOf } from '../names.ts';
import type { KubeObject } from '../runtime/object.ts';
import { type Part, partMetadata } from './part.ts';

/*
 * Who may speak to a session's pods. What a pod may speak to is left open (databases and key servers are anywhere),
 * but for Redis, which speaks to nobody. Where the network plugin does not honour policies, passwords are what is left.
 */

/** Kubernetes sets it on every namespace. */
const namespaceName = 'kubernetes.io/metadata.name';

/** Gateways and exporters of this session, and the operator. */
export function redisPolicy(part: Part, settings: ClusterSettings): KubeObject {
  const own = (component: Component) => ({ podSelector: { matchLabels: selectorOf(part.ref, component) } });
  const from = [own('gateway'), own('exporter'), operatorPods(settings)];
  return policy(part, 'redis', {
    policyTypes: ['Ingress', 'Egress'],
    ingress: [{ from, ports: [tcp(ports.redis)] }],
    egress: [],
  });
}

/** Students from anywhere; health and metrics for the operator and whoever collects metrics. */
export function gatewayPolicy(part: Part, settings: ClusterSettings): KubeObject {
  const from = [operatorPods(settings), ...monitoring(settings)];
  return policy(part, 'gateway', {
    policyTypes: ['Ingress'],
    ingress: [{ ports: [tcp(ports.gateway)] }, { from, ports: [tcp(ports.ops)] }],
  });
}

/** The operator asks how far it is; nobody else. */
export function exporterPolicy(part: Part, settings: ClusterSettings): KubeObject {
  return policy(part, 'exporter', {
    policyTypes: ['Ingress'],
    ingress: [{ from: [operatorPods(settings)], ports: [tcp(ports.ops)] }],
  });
}

/** As JSON has it: the client library's own type renames `from`. */
interface Rules {
  readonly policyTypes: readonly ('Ingress' | 'Egress')[];
  readonly ingress: readonly { readonly from?: readonly V1NetworkPolicyPeer[]; readonly ports: readonly object[] }[];
  readonly egress?: readonly [];
}

function policy(part: Part, component: 'redis' | 'gateway' | 'exporter', spec: Rules): KubeObject {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: partMetadata(part, component, objectNames(part.ref)[component]),
    spec: { podSelector: { matchLabels: selectorOf(part.ref, component) }, ...spec },
  };
}

/** Both selectors in one peer: those pods, and in that namespace. */
function operatorPods({ operator }: ClusterSettings): V1NetworkPolicyPeer {
  return {
    namespaceSelector: { matchLabels: { [namespaceName]: operator.namespace } },
    podSelector: { matchLabels: { ...operator.podLabels } },
  };
}

function monitoring({ monitoringNamespaces = [] }: ClusterSettings): V1NetworkPolicyPeer[] {
  return monitoringNamespaces.map((name) => ({ namespaceSelector: { matchLabels: { [namespaceName]: name } } }));
}

function tcp(port: number) {
  return { protocol: 'TCP', port };
}
