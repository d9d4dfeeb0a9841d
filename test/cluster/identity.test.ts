import { beforeAll, describe, expect, test } from 'vitest';
import { openIdentity } from '#operator/kubernetes/identity.ts';
import { objectNames } from '#operator/kubernetes/names.ts';
import type { Api, KubeObject } from '#operator/kubernetes/runtime/api.ts';
import { ensureSessionKeys } from '#operator/kubernetes/sessionkeys.ts';
import { aclFile, passwordHash } from '#queue/acl.ts';
import { problem } from '#queue/problem.ts';
import { checkReceipt, makeReceipt } from '#queue/receipt.ts';
import { settings } from '#test/operator/kubernetes/gatewayparts.ts';
import { desiredShards } from '#test/operator/kubernetes/shardparts.ts';
import { startApiServer } from '#test/support/apiserver.ts';
import { apiOf } from './gatewayworld.ts';
import { kinds, makeClasses, type ShardWorld, shardWorld } from './shardworld.ts';

let api: Api;

beforeAll(async () => {
  api = apiOf(await startApiServer());
  await makeClasses(api);
});

const open = ({ ref, owner }: ShardWorld, through = api) => openIdentity(through, ref, owner, settings.images);
const shard = { shard: 0, incarnation: 'one', born: false, maxmemoryBytes: 1 };
const mapOf = ({ ref }: ShardWorld) => ({
  ...kinds.ConfigMap,
  ...{ namespace: ref.namespace, name: objectNames(ref).identity },
});
const secretOf = ({ ref }: ShardWorld, name: keyof ReturnType<typeof objectNames>['secrets']) => ({
  ...kinds.Secret,
  ...{ namespace: ref.namespace, name: objectNames(ref).secrets[name] },
});
const dataOf = (object: KubeObject | null) => object?.data as Record<string, string>;
const plain = (base64: string | undefined) => Buffer.from(base64 ?? '', 'base64').toString('utf8');

describe('the identity', () => {
  test('is made once, and read again as it was left', async () => {
    const world = await shardWorld(api);
    const first = await open(world);
    expect(first.value).toMatchObject({ uid: world.ref.uid, shards: [], receiptPublicKey: '' });
    await first.update((now) => ({ ...now, shards: [shard] }));
    expect((await open(world)).value).toEqual(first.value);
    const { resourceVersion } = (await api.get(mapOf(world)))!.metadata;
    await first.update((now) => now);
    expect((await api.get(mapOf(world)))!.metadata.resourceVersion).toBe(resourceVersion);
  });

  test('keeps every change of two who change it at once', async () => {
    const world = await shardWorld(api);
    const both = [await open(world), await open(world)];
    await Promise.all(
      [0, 1, 2, 3].map((number) =>
        both[number % 2]!.update((now) => ({ ...now, shards: [...now.shards, { ...shard, shard: number }] })),
      ),
    );
    const { shards } = (await open(world)).value;
    expect(shards.map((one) => one.shard).sort()).toEqual([0, 1, 2, 3]);
  });

  test('looks first, when nobody knows whether the last change happened', async () => {
    const world = await shardWorld(api);
    let isLost = true;
    const update = async (object: KubeObject) => {
      const done = await api.update(object);
      if (!isLost) return done;
      isLost = false;
      throw problem('api_timeout', 'no reply', 'Wait.');
    };
    const record = await open(world, { ...api, update });
    const born = (incarnation: string) =>
      record.update((now) => (now.shards.length > 0 ? now : { ...now, shards: [{ ...shard, incarnation }] }));
    await expect(born('one')).rejects.toMatchObject({ code: 'api_timeout' });
    await born('two');
    expect(record.value.shards).toEqual([shard]);
    expect((await open(world)).value.shards).toEqual([shard]);
  });

  test('is never made anew when there are traces of shards', async () => {
    const lost = { code: 'identity_lost', remedy: expect.stringContaining('backup') };
    const world = await shardWorld(api);
    const shards = await world.open();
    await shards.apply(desiredShards());
    await world.play();
    await api.remove(mapOf(world));
    await expect(open(world)).rejects.toMatchObject({ ...lost, message: expect.stringContaining('StatefulSet') });
    await expect(shards.identity.update((now) => ({ ...now, shards: [] }))).rejects.toMatchObject({
      code: 'api_not_found',
    });
    await expect(shards.identity.update((now) => ({ ...now, shards: [] }))).rejects.toMatchObject(lost);
    const { namespace } = world.ref;
    await api.remove({ ...kinds.StatefulSet, namespace, name: objectNames(world.ref).redis });
    await expect(open(world)).rejects.toMatchObject({ ...lost, message: expect.stringContaining('claim') });

    const other = await shardWorld(api);
    const owner = { ...other.owner, status: { redis: { witnesses: [{ shard: 0 }] } } };
    await expect(open({ ...other, owner })).rejects.toMatchObject({
      ...lost,
      message: expect.stringContaining('status'),
    });
    expect(await api.get(mapOf(other))).toBeNull();
    // What a backup of another session brought along is no trace of this one.
    await open({ ...other, owner: { ...owner, status: { ...owner.status, uid: 'other' } } });
  });

  test('of another session, or in a form that is not known, is refused', async () => {
    const world = await shardWorld(api);
    await open(world);
    const put = (text: string) => api.patch(mapOf(world), { data: { 'identity.json': text } }, { type: 'merge' });
    await put('{"format": 1, "uid": "other", "shards": [], "images": {}}');
    await expect(open(world)).rejects.toMatchObject({ code: 'identity_foreign' });
    for (const text of ['', 'null', '{"format": 2}', 'no JSON']) {
      await put(text);
      await expect(open(world)).rejects.toMatchObject({ code: 'identity_unreadable' });
    }
  });
});

describe('the keys', () => {
  const ensure = async (world: ShardWorld) => ensureSessionKeys(api, world.ref, world.owner, await open(world));

  test('are made once, each where its program finds it, and nowhere else', async () => {
    const world = await shardWorld(api);
    const shards = await world.open();
    const { keys } = shards;
    await shards.apply(desiredShards());
    await world.play();
    expect(await ensure(world)).toEqual(keys);
    const [gateway, exporter, operator, redis] = await Promise.all(
      (['gateway', 'exporter', 'operator', 'redis'] as const).map(async (name) =>
        dataOf(await api.get(secretOf(world, name))),
      ),
    );
    expect(Object.keys(gateway!).sort()).toEqual(['connection.key', 'receipt.pem', 'redis-password', 'token.key']);
    expect(passwordHash(plain(exporter!['redis-password']))).toBe(keys.hashes.exporter);
    expect(plain(operator!['redis-password'])).toBe(keys.operatorPassword);
    expect(plain(redis!['users.acl'])).toBe(aclFile(keys.hashes));
    const claim = { session: 'uid', student: 'ada', writer: 'writer-1', lastSeq: 0, chain: 'a'.repeat(64), time: 1 };
    expect(checkReceipt(keys.receiptPublic, makeReceipt(plain(gateway!['receipt.pem']), claim))).toBe(true);
    expect(shards.identity.value.receiptPublicKey).toBe(keys.receiptPublic);

    const secrets = [gateway, exporter, operator].flatMap((data) =>
      Object.values(data!).flatMap((text) => [text, plain(text)]),
    );
    const others = (Object.keys(kinds) as (keyof typeof kinds)[]).filter((kind) => kind !== 'Secret');
    const all = JSON.stringify((await Promise.all(others.map((kind) => world.list(kind)))).flat());
    expect(secrets.filter((secret) => all.includes(JSON.stringify(secret).slice(1, -1)))).toEqual([]);
  });

  test('are completed where an operator was killed while it made them', async () => {
    const world = await shardWorld(api);
    const identity = await open(world);
    await ensureSessionKeys(api, world.ref, world.owner, identity);
    // As if the exporter's had not been made yet: its new password has to be among the accounts.
    await identity.update((now) => ({ ...now, receiptPublicKey: '' }));
    await api.remove(secretOf(world, 'exporter'));
    const keys = await ensure(world);
    expect(plain(dataOf(await api.get(secretOf(world, 'redis')))['users.acl'])).toBe(aclFile(keys.hashes));
  });

  test('are never replaced by others', async () => {
    for (const name of ['gateway', 'exporter', 'operator', 'redis'] as const) {
      const world = await shardWorld(api);
      await ensure(world);
      await api.remove(secretOf(world, name));
      await expect(ensure(world)).rejects.toMatchObject({ code: 'session_keys_lost' });
      expect(await api.get(secretOf(world, name))).toBeNull();
    }
    const world = await shardWorld(api);
    await ensure(world);
    for (const text of ['', 'no key']) {
      const data = { 'receipt.pem': Buffer.from(text).toString('base64') };
      await api.patch(secretOf(world, 'gateway'), { data }, { type: 'merge' });
      const error: unknown = await ensure(world).catch((error: unknown) => error);
      expect(error).toMatchObject({ code: 'session_keys_lost', message: expect.stringContaining('receipt.pem') });
    }
  });
});
