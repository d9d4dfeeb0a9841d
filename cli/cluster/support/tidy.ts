import type { KubeObject } from '#operator/kubernetes/runtime/api.ts';

/** What of an object helps nobody, or is nobody's business. */
const annotations = ['kubectl.kubernetes.io/last-applied-configuration'];
/** Values of other variables are whatever somebody, or a webhook, put there. */
const plainVariables = ['NODE_ENV', 'NODE_OPTIONS'];

/** Pure: an object as a bundle has it: without bookkeeping, without values of environment variables and of rosters. */
export function tidied(object: KubeObject): unknown {
  const { managedFields, annotations: given, ...metadata } = object.metadata;
  const kept = Object.entries(given ?? {}).filter(([name]) => !annotations.includes(name));
  const tidy = {
    ...object,
    metadata: { ...metadata, ...(kept.length > 0 && { annotations: Object.fromEntries(kept) }) },
  };
  if (object.kind === 'ConfigMap') {
    const { data, binaryData } = object as { data?: Record<string, string>; binaryData?: Record<string, string> };
    return {
      ...tidy,
      ...(data && { data: withoutRosters(data) }),
      ...(binaryData && { binaryData: withoutAll(binaryData) }),
    };
  }
  return withoutVariables(tidy);
}

/** Who takes part in an exam. */
function withoutRosters(data: Record<string, string>): Record<string, string> {
  const keep = ([key, text]: [string, string]) => (/roster/i.test(key) ? [key, leftOut(text)] : [key, text]);
  return Object.fromEntries(Object.entries(data).map(keep));
}

/** Packed rosters among them. */
function withoutAll(data: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(data).map(([key, text]) => [key, leftOut(text)]));
}

function withoutVariables(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutVariables);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([name, field]) => [
    name,
    name === 'env' && Array.isArray(field) ? field.map(withoutValue) : withoutVariables(field),
  ]);
  return Object.fromEntries(entries);
}

function withoutValue(variable: { readonly name: string; readonly value?: string }): object {
  if (variable.value === undefined || plainVariables.includes(variable.name)) return variable;
  return { ...variable, value: leftOut(variable.value) };
}

function leftOut(text: string): string {
  return `(left out: ${Buffer.byteLength(text)} bytes)`;
}
