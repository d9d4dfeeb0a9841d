import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { V1KeyToPath, V1Pod, V1Volume } from '@kubernetes/client-node';
import type { KubeObject } from '#operator/kubernetes/runtime/api.ts';
import type { Addresses } from './addresses.ts';
import { kinds, type Of, type TestNamespace } from './cluster.ts';

/** A pod's file system: a folder that stands for its root, and how texts are rewritten for it. */
export interface Mounted {
  readonly terminationLog: string;
  /** Everything that it says, for a look when the test failed. */
  readonly logFile: string;
  /** A text of the pod (an argument, a configuration) with this machine's paths, addresses and names. */
  rewrite(text: string): string;
}

export interface Place {
  /** Of this pod alone. */
  readonly root: string;
  /** A folder a claim. */
  readonly claims: string;
  readonly addresses: Addresses;
}

/** Puts a pod's volumes below its folder. Null while something that it needs is not there, as a kubelet would wait. */
export async function mount(space: TestNamespace, pod: Of<V1Pod>, place: Place): Promise<Mounted | null> {
  const container = pod.spec!.containers[0]!;
  const mounts = container.volumeMounts ?? [];
  const terminationLog = join(place.root, 'termination-log');
  const rewrite = rewriterOf(space, place, pod, [
    [container.terminationMessagePath ?? '/dev/termination-log', terminationLog],
    ...mounts.map(({ mountPath }): [string, string] => [mountPath, join(place.root, mountPath)]),
  ]);
  rmSync(place.root, { recursive: true, force: true });
  for (const { name, mountPath } of mounts) {
    const volume = pod.spec!.volumes!.find((one) => one.name === name)!;
    const target = join(place.root, mountPath);
    mkdirSync(dirname(target), { recursive: true });
    const files = await filesOf(space, volume, rewrite);
    if (files === null) return null;
    if (volume.persistentVolumeClaim !== undefined) {
      const claim = await get(space, 'PersistentVolumeClaim', volume.persistentVolumeClaim.claimName);
      if (claim === null) return null;
      const folder = join(place.claims, claim.metadata.uid!);
      mkdirSync(folder, { recursive: true });
      symlinkSync(folder, target);
    } else mkdirSync(target, { recursive: true });
    for (const [path, content] of files) writeFileSync(join(target, path), content);
  }
  return { terminationLog, rewrite, logFile: join(place.root, 'log') };
}

/** Files of configurations and secrets; none for folders, null when their object is missing. */
async function filesOf(
  space: TestNamespace,
  volume: V1Volume,
  rewrite: (text: string) => string,
): Promise<[string, string | Buffer][] | null> {
  if (volume.configMap !== undefined) {
    const object = await get(space, 'ConfigMap', volume.configMap.name!);
    const data = object?.data as Record<string, string> | undefined;
    return data === undefined
      ? null
      : chosen(data, volume.configMap.items).map(([path, text]) => [path, rewrite(text)]);
  }
  const secrets = [
    ...(volume.secret === undefined ? [] : [{ name: volume.secret.secretName!, items: volume.secret.items }]),
    ...(volume.projected?.sources ?? []).flatMap(({ secret }) =>
      secret ? [{ name: secret.name!, items: secret.items }] : [],
    ),
  ];
  const files: [string, Buffer][] = [];
  for (const { name, items } of secrets) {
    const data = (await get(space, 'Secret', name))?.data as Record<string, string> | undefined;
    if (data === undefined) return null;
    for (const [path, base64] of chosen(data, items)) files.push([path, Buffer.from(base64, 'base64')]);
  }
  return files;
}

function chosen(data: Record<string, string>, items: V1KeyToPath[] | undefined): [string, string][] {
  if (items === undefined) return Object.entries(data);
  return items.map(({ key, path }) => [path, data[key]!]);
}

function get({ api, namespace }: TestNamespace, kind: keyof typeof kinds, name: string): Promise<KubeObject | null> {
  return api.get({ ...kinds[kind], namespace, name });
}

/**
 * Pods here have no file system, network or name service of their own: paths become paths below the pod's folder, "all
 * addresses" becomes the pod's, and names of other pods become their addresses. An exporter listens on all addresses
 * whatever it is told, so it tells no progress; a gateway takes less time to send its students elsewhere.
 */
function rewriterOf(
  { namespace }: TestNamespace,
  { addresses }: Place,
  pod: KubeObject,
  paths: readonly [string, string][],
) {
  const address = addresses.of(pod.metadata.name);
  const names = new RegExp(`([a-z0-9-]+)\\.[a-z0-9-]+\\.${namespace}\\.svc\\.[a-z.]*[a-z]`, 'g');
  const longestFirst = [...paths].sort(([a], [b]) => b.length - a.length);
  const found = new RegExp(`(?<![\\w.-])(${longestFirst.map(([path]) => path).join('|')})(?![\\w.-])`, 'g');
  const replaced = new Map(paths);
  return (text: string) =>
    text
      .replaceAll(found, (path) => replaced.get(path)!)
      .replaceAll(names, (_, name: string) => addresses.of(name))
      .replaceAll('"0.0.0.0"', `"${address}"`)
      .replace(/^bind .*$/m, `bind ${address}`)
      .replace(/"opsPort": ?9090/, '"opsPort":null')
      .replace(/"drainSeconds": ?\d+/, '"drainSeconds": 0');
}
