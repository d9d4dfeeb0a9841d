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
  /** The operator's pod that holds the Lease. */
  leader(): Promise<string>;
}

const root = dirname(dirname(import.meta.dirname));
const redisImage = 'localhost/untradex-redis:test';

/** @param values further `--set` of helm */
export async function installRelease(cluster: TestCluster, values: readonly string[] = []): Promise<Release> {
  const folder = tmpFolder('images');
  const untradex = await packUntradex(`localhost/untradex:${manifest.version}`, manifest.version, folder);
  const redis = await packRedis(redisImage, folder);
  for (const { file } of [untradex, redis]) await cluster.importImage(file);
  const [namespace, name] = ['untradex-system', 'untradex'];
  const settings = [`redisImage=${redisImage}`, 'verifiedLingerSeconds=5', ...values].flatMap((set) => ['--set', set]);
  const install = ['install', name, join(root, 'charts/untradex'), '-n', namespace, '--create-namespace', '--wait'];
  await mustRunTool(cluster.helm([...install, '--timeout', '3m', ...settings], undefined, { timeoutMs: 200_000 }));
  return {
    namespace,
    name,
    async leader() {
      const path = ['-n', namespace, 'get', 'lease', 'untradex-operator', '-o', 'jsonpath={.spec.holderIdentity}'];
      return (await mustRunTool(cluster.kubectl(path))).split('_')[0]!;
    },
  };
}

/** What a program printed; it must have ended well. */
export async function mustRunTool(run: ReturnType<TestCluster['kubectl']>): Promise<string> {
  const { code, stdout, stderr } = await run;
  expect(code, `${stderr}\n${stdout}`).toBe(0);
  return stdout;
}
