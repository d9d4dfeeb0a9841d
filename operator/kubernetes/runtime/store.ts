import type { KubeObject } from './object.ts';

export interface ObjectKey {
  /** Empty for kinds without namespaces. */
  readonly namespace: string;
  readonly name: string;
}

/** Objects of one kind by namespace and name, and by the value of one label. Who reads them must not change them. */
export interface Store {
  readonly size: number;
  get(namespace: string, name: string): KubeObject | null;
  list(namespace?: string): KubeObject[];
  byLabel(value: string): KubeObject[];
  keys(): ObjectKey[];
  put(object: KubeObject): void;
  drop(key: ObjectKey): void;
}

export function keyOf({ metadata: { namespace = '', name } }: KubeObject): ObjectKey {
  return { namespace, name };
}

export function createStore(indexLabel?: string): Store {
  const namespaces = new Map<string, Map<string, KubeObject>>();
  const labelled = new Map<string, Set<KubeObject>>();
  let size = 0;

  const labelOf = ({ metadata: { labels } }: KubeObject) =>
    indexLabel === undefined ? undefined : labels?.[indexLabel];

  function index(object: KubeObject): void {
    const value = labelOf(object);
    if (value === undefined) return;
    const those = labelled.get(value);
    if (those === undefined) labelled.set(value, new Set([object]));
    else those.add(object);
  }

  function drop({ namespace, name }: ObjectKey): void {
    const names = namespaces.get(namespace);
    const object = names?.get(name);
    if (names === undefined || object === undefined) return;
    names.delete(name);
    if (names.size === 0) namespaces.delete(namespace);
    size -= 1;
    const value = labelOf(object);
    if (value === undefined) return;
    const those = labelled.get(value);
    those?.delete(object);
    if (those?.size === 0) labelled.delete(value);
  }

  return {
    get size() {
      return size;
    },
    get: (namespace, name) => namespaces.get(namespace)?.get(name) ?? null,
    list(namespace) {
      if (namespace !== undefined) return [...(namespaces.get(namespace)?.values() ?? [])];
      return [...namespaces.values()].flatMap((names) => [...names.values()]);
    },
    byLabel: (value) => [...(labelled.get(value) ?? [])],
    keys: () => [...namespaces].flatMap(([namespace, names]) => [...names.keys()].map((name) => ({ namespace, name }))),
    put(object) {
      const { namespace, name } = keyOf(object);
      drop({ namespace, name });
      const names = namespaces.get(namespace) ?? new Map<string, KubeObject>();
      namespaces.set(namespace, names.set(name, object));
      index(object);
      size += 1;
    },
    drop,
  };
}
