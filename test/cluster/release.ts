import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect } from 'vitest';
import { packRedis, packUntradex } from '#setup/image/pack.ts';
import type { TestCluster } from '#test/support/cluster/testcluster.ts';
import { tmpFolder } from '#test/support/tmp.ts';
import manifest from '../../package.json' with { type: 'json' };

/** The operator on a whole cluster, installed from the chart, with images of the project's own build. */
export interface Release {
  readonly namespace: string;
  readonly name: string;
  /** Of the operator's Deployment, and of its Lease. */
  readonly operator: string;
  /** What it was installed with. */
  readonly images: { readonly untradex: string; readonly redis: string };
  /** The operator's pod that holds the Lease. */
  leader(): Promise<string>;
  /** `helm upgrade`: all as it was but for these `--set`. Resolves when every operator is a new one. */
  upgrade(values: readonly string[]): Promise<void>;
  /** Takes the same build to the nodes under another tag of `localhost/untradex`. */
  importAs(tag: string): Promise<string>;
}

const root = dirname(dirname(import.meta.dirname));
const redisImage = 'localhost/untradex-redis:test';
const [namespace, name] = ['untradex-system', 'untradex'];

/** @param values further `--set` of helm */
export async function installRelease(cluster: TestCluster, values: readonly string[] = []): Promise<Release> {
  const folder = tmpFolder('images');
  const untradex = await packUntradex(`localhost/untradex:${manifest.version}`, manifest.version, folder);
  const redis = await packRedis(redisImage, folder);
  for (const { file } of [untradex, redis]) await cluster.importImage(file);
  const helm = async (verb: string[], set: readonly string[]) => {
    const common = [name, join(root, 'charts/untradex'), '-n', namespace, '--wait', '--timeout', '3m'];
    const settings = set.flatMap((one) => ['--set', one]);
    await mustRunTool(cluster.helm([...verb, ...common, ...settings], undefined, { timeoutMs: 200_000 }));
  };
  await helm(['install', '--create-namespace'], [`redisImage=${redisImage}`, 'verifiedLingerSeconds=5', ...values]);
  return {
    ...{ namespace, name, operator: 'untradex-operator' },
    images: { untradex: untradex.tag, redis: redis.tag },
    async leader() {
      const path = ['-n', namespace, 'get', 'lease', 'untradex-operator', '-o', 'jsonpath={.spec.holderIdentity}'];
      return (await mustRunTool(cluster.kubectl(path))).split('_')[0]!;
    },
    upgrade: (set) => helm(['upgrade', '--reuse-values'], set),
    async importAs(tag) {
      const image = `localhost/untradex:${tag}`;
      await cluster.importImage(retag(untradex.file, image));
      return image;
    },
  };
}

/** The archive of an image, with another name in its manifest. */
function retag(archive: string, image: string): string {
  const folder = tmpFolder('retag');
  execFileSync('tar', ['-C', folder, '-xf', archive]);
  const path = join(folder, 'manifest.json');
  const [described] = JSON.parse(readFileSync(path, 'utf8')) as object[];
  writeFileSync(path, JSON.stringify([{ ...described, RepoTags: [image] }]));
  const retagged = join(tmpFolder('images'), 'retagged.tar');
  execFileSync('tar', ['-C', folder, '-cf', retagged, '.']);
  return retagged;
}

/** What a program printed; it must have ended well. */
export async function mustRunTool(run: ReturnType<TestCluster['kubectl']>): Promise<string> {
  const { code, stdout, stderr } = await run;
  expect(code, `${stderr}\n${stdout}`).toBe(0);
  return stdout;
}
