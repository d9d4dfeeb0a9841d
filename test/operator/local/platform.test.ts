import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseDocument } from 'yaml';
import { dataFolder, readText, writeAtomic } from '#operator/local/datafolder.ts';
import { openIdentityFile, readIdentity } from '#operator/local/identityfile.ts';
import { endOrphans, openChildrenFile } from '#operator/local/orphans.ts';
import { type LocalPlatform, openLocalPlatform } from '#operator/local/platform.ts';
import { freePort } from '#operator/local/ports.ts';
import { findRedisBinary } from '#operator/local/redisbinary.ts';
import { placeSession } from '#operator/local/sessionfile.ts';
import { type PlatformHarness, platformConformance } from '#test/conformance/platform.ts';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { tmpFolder } from '#test/support/tmp.ts';

const yaml = `
apiVersion: untradex.io/v1alpha1
kind: ExamSession
metadata: {name: algebra}
spec:
  students: 40
  gateway: {replicas: 2}
  redis: {shards: 2}
`;

const programs = { gateway: [resolve('gateway/main.ts')], exporter: [resolve('exporter/main.ts')] };

platformConformance('on one machine', async (): Promise<PlatformHarness> => {
  const folder = dataFolder(tmpFolder('platform'));
  const file = join(folder.root, 'session.yaml');
  writeFileSync(file, yaml);
  const openOnce = async (): Promise<LocalPlatform> => {
    await endOrphans(folder);
    const identity = await openIdentityFile(folder, await readIdentity(folder), await placeSession(folder, null, null));
    if (identity.value.gatewayPort === 0) {
      const gatewayPort = await freePort('127.0.0.1');
      await identity.update((now) => ({ ...now, gatewayPort }));
    }
    return openLocalPlatform({
      folder,
      identity,
      children: openChildrenFile(folder),
      host: '127.0.0.1',
      redisBinary: (await findRedisBinary()).path,
      programs,
      onStatus: () => {},
    });
  };
  let platform = await openOnce();
  onScopeEnd(() => platform.remove());
  return {
    get platform() {
      return platform;
    },
    async reopen() {
      // A crash cannot be had within the test's own process; runs that are killed are in run.test.ts.
      await platform.remove();
      platform = await openOnce();
    },
    async killShard(shard) {
      process.kill(platform.pids().redis[shard]!, 'SIGKILL');
    },
    async killGateway() {
      process.kill(platform.pids().gateway[0]!, 'SIGKILL');
    },
    async edit(path, value) {
      const document = parseDocument((await readText(folder.session))!);
      document.setIn(path, value);
      await writeAtomic(folder.session, document.toString());
    },
  };
});
