import type { KubeList, KubeObject } from './api.ts';
import { keyOf, type ObjectKey, type Store } from './store.ts';

/** What did not work: reading, or code that was called with what was read. */
export type InformerTrouble = 'list' | 'watch' | 'onChange' | 'transform';

export interface MirrorOptions {
  /** Told of everything that went wrong. Nothing needs to be done: it is tried again. */
  readonly onError: (error: unknown, what: InformerTrouble) => void;
  /** Keeps what is needed of an object, its metadata at least. Managed fields are dropped before. */
  readonly transform?: (object: KubeObject) => KubeObject;
}

/** Puts what is read into a store, and tells what is different then. */
export interface Mirror {
  /**
   * Takes a whole list, page by page, and drops what is not in it. Returns its version. `anew`: everything is told, since
   * versions were given out twice and equal ones mean nothing.
   */
  replace(pages: AsyncIterable<KubeList>, anew: boolean): Promise<string>;
  take(object: KubeObject): void;
  lose(object: KubeObject): void;
}

export function createMirror(
  store: Store,
  tell: (key: ObjectKey, object: KubeObject | null) => void,
  options: MirrorOptions,
): Mirror {
  function take(object: KubeObject, anew = false): void {
    const key = keyOf(object);
    const before = store.get(key.namespace, key.name);
    if (!anew && before !== null && isSame(before, object)) return;
    const kept = slimmed(object, options);
    store.put(kept);
    tell(key, kept);
  }

  function drop(key: ObjectKey): void {
    if (store.get(key.namespace, key.name) === null) return;
    store.drop(key);
    tell(key, null);
  }

  return {
    async replace(pages, anew) {
      const seen = new Set<string>();
      let resourceVersion = '';
      for await (const page of pages) {
        for (const object of page.items) {
          seen.add(idOf(keyOf(object)));
          take(object, anew);
        }
        resourceVersion = page.resourceVersion;
      }
      for (const key of store.keys()) if (!seen.has(idOf(key))) drop(key);
      return resourceVersion;
    },
    take: (object) => take(object),
    lose: (object) => drop(keyOf(object)),
  };
}

function idOf({ namespace, name }: ObjectKey): string {
  return `${namespace}/${name}`;
}

function isSame({ metadata: one }: KubeObject, { metadata: other }: KubeObject): boolean {
  return one.uid === other.uid && one.resourceVersion === other.resourceVersion;
}

function slimmed(object: KubeObject, { transform, onError }: MirrorOptions): KubeObject {
  const { managedFields: _, ...metadata } = object.metadata;
  const slim = { ...object, metadata };
  try {
    return transform?.(slim) ?? slim;
  } catch (error) {
    onError(error, 'transform');
    return slim;
  }
}
