import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Accounts } from './accounts.ts';
import type { Running, TestNode } from './node.ts';
import type { Place } from './place.ts';

/** Starts CoreDNS on the node, beside the pods. It knows no name outside of the cluster, and says so. */
export function startDns(node: TestNode, place: Place, accounts: Accounts, coredns: string): Running {
  const file = join(place.folder, 'Corefile');
  const config = `cluster.local:53 in-addr.arpa:53 {
  bind ${place.nodeAddress}
  errors
  kubernetes {
    kubeconfig ${accounts.kubeconfig('system:coredns')} test
    pods insecure
  }
}
.:53 {
  bind ${place.nodeAddress}
  template ANY ANY {
    rcode NXDOMAIN
  }
}
`;
  writeFileSync(file, config);
  return node.start('coredns', [coredns, '-conf', file]);
}

/** The Service that pods ask (it has no selector, since CoreDNS is no pod), and what CoreDNS may read. */
export function dnsObjects({ nodeAddress, dnsAddress }: Place) {
  const metadata = { name: 'kube-dns', namespace: 'kube-system' };
  const ports = [
    { name: 'dns', port: 53, protocol: 'UDP' },
    { name: 'dns-tcp', port: 53, protocol: 'TCP' },
  ];
  const watched = { verbs: ['list', 'watch'] };
  return [
    { apiVersion: 'v1', kind: 'Service', metadata, spec: { clusterIP: dnsAddress, ports } },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { ...metadata, labels: { 'kubernetes.io/service-name': 'kube-dns' } },
      addressType: 'IPv4',
      endpoints: [{ addresses: [nodeAddress], conditions: { ready: true } }],
      ports,
    },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      metadata: { name: 'system:coredns' },
      rules: [
        { apiGroups: [''], resources: ['endpoints', 'services', 'pods', 'namespaces'], ...watched },
        { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], ...watched },
      ],
    },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata: { name: 'system:coredns' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:coredns' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'system:coredns' }],
    },
  ];
}
