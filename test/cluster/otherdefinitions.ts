/** Kinds of others that the chart and the operator write when asked to, just enough of them to be stored and read. */
const kinds = [
  { group: 'monitoring.coreos.com', version: 'v1', kind: 'PodMonitor' },
  { group: 'monitoring.coreos.com', version: 'v1', kind: 'PrometheusRule' },
  { group: 'gateway.networking.k8s.io', version: 'v1', kind: 'HTTPRoute' },
] as const;

export const otherDefinitions = kinds.map(({ group, version, kind }) => {
  const [singular, plural] = [kind.toLowerCase(), `${kind.toLowerCase()}s`];
  const spec = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  const openAPIV3Schema = { type: 'object', properties: { spec } };
  // Groups of the Kubernetes project want to know who approved them.
  const annotations = { 'api-approved.kubernetes.io': 'unapproved, for tests' };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}`, annotations },
    spec: {
      ...{ group, scope: 'Namespaced', names: { kind, listKind: `${kind}List`, singular, plural } },
      versions: [{ name: version, served: true, storage: true, schema: { openAPIV3Schema } }],
    },
  };
});
