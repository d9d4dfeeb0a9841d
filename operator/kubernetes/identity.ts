import { isProblem, type Problem, problem } from '#queue/problem.ts';
import type { Identity, ShardBirth } from '../platform.ts';
import { labelNames, objectNames, type SessionRef } from './names.ts';
import { partMetadata } from './resources/part.ts';
import type { Api, KubeObject, ObjectRef } from './runtime/api.ts';

/** Who a session is, kept outside of Redis: in a ConfigMap from before anything else of it is made. */
export interface SessionIdentity extends Identity {
  readonly format: 1;
  readonly shards: readonly ClusterShard[];
  /** Chosen when the session was born: an upgraded operator restarts nothing of an exam with another program. */
  readonly images: SessionImages;
  /** PEM; empty before the keys are made. With other keys the receipts that students hold could not be checked. */
  readonly receiptPublicKey: string;
}

export interface ClusterShard extends ShardBirth {
  readonly maxmemoryBytes: number;
}

export interface SessionImages {
  readonly untradex: string;
  readonly redis: string;
}

export interface IdentityRecord {
  /** As it was last read or written. */
  readonly value: SessionIdentity;
  /**
   * Changes it, on the cluster before in memory, one change at a time. `change` may be called again with what somebody
   * else wrote meanwhile, so it decides by what it gets; when it gives that back, nothing is written.
   * @throws Problem; after `api_unreachable` and `api_timeout` it may have happened, and the next change looks first
   */
  update(change: (now: SessionIdentity) => SessionIdentity): Promise<void>;
}

/** How often a change is tried again because somebody else wrote in between. */
const mostConflicts = 5;
const file = 'identity.json';

/**
 * Opens the session's identity, or makes it for a session that is new. All is read live.
 * @param owner the ExamSession, as it was last read
 * @param images for a session that has not stored anything yet; later ones have those that they began with
 * @throws Problem `identity_lost` when there are traces of shards, but not who they are: it is never made anew
 */
export async function openIdentity(
  api: Api,
  ref: SessionRef,
  owner: KubeObject,
  images: SessionImages,
): Promise<IdentityRecord> {
  const at: ObjectRef = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    namespace: ref.namespace,
    name: objectNames(ref).identity,
  };
  let known = await api.get(at);
  if (known === null) {
    await refuseWhenLost(api, ref, owner);
    known = await make(api, at, ref, owner, images);
  }
  const record = createRecord(api, at, ref, known);
  // Nothing was ever stored: it may still begin with other images, when the first ones cannot be pulled.
  const isNew = ({ shards }: SessionIdentity) => shards.every(({ born }) => !born) && !hasWitnesses(owner);
  const isSame = (now: SessionImages) => now.redis === images.redis && now.untradex === images.untradex;
  await record.update((now) => {
    if (!isNew(now) || isSame(now.images)) return now;
    return { ...now, images: { untradex: images.untradex, redis: images.redis } };
  });
  return record;
}

async function make(
  api: Api,
  at: ObjectRef,
  ref: SessionRef,
  owner: KubeObject,
  { untradex, redis }: SessionImages,
): Promise<KubeObject> {
  const value: SessionIdentity = {
    format: 1,
    uid: ref.uid,
    shards: [],
    images: { untradex, redis },
    receiptPublicKey: '',
  };
  const metadata = partMetadata({ ref, owner }, 'session', at.name);
  try {
    return await api.create({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { [file]: textOf(value) } });
  } catch (error) {
    const made = isCode(error, 'api_exists') ? await api.get(at) : null;
    if (made === null) throw error;
    return made;
  }
}

function createRecord(api: Api, at: ObjectRef, ref: SessionRef, opened: KubeObject): IdentityRecord {
  let known = opened;
  let value = read(opened, ref);
  /** A write may have happened, or not. */
  let isInDoubt = false;
  let changing: Promise<void> = Promise.resolve();

  async function readAgain(): Promise<void> {
    const live = await api.get(at);
    if (live === null) throw lost(ref, `the ConfigMap ${at.name} was removed while the session runs`);
    [known, value, isInDoubt] = [live, read(live, ref), false];
  }

  async function write(changed: SessionIdentity): Promise<void> {
    isInDoubt = true;
    try {
      known = await api.update({ ...known, data: { [file]: textOf(changed) } });
      value = changed;
      isInDoubt = false;
    } catch (error) {
      if (isCode(error, 'api_conflict')) await readAgain();
      throw error;
    }
  }

  async function change(by: (now: SessionIdentity) => SessionIdentity): Promise<void> {
    if (isInDoubt) await readAgain();
    for (let tries = mostConflicts; ; tries--) {
      const changed = by(value);
      if (changed === value) return;
      try {
        return await write(changed);
      } catch (error) {
        if (!isCode(error, 'api_conflict') || tries === 0) throw error;
      }
    }
  }

  return {
    get value() {
      return value;
    },
    update(by) {
      const next = changing.catch(() => undefined).then(() => change(by));
      changing = next;
      return next;
    },
  };
}

function textOf(value: SessionIdentity): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function read({ data, metadata }: KubeObject, ref: SessionRef): SessionIdentity {
  const text = (data as Record<string, unknown> | undefined)?.[file];
  const value = typeof text === 'string' ? parsed(text) : null;
  if (value === null || value.format !== 1 || !Array.isArray(value.shards) || value.images === undefined) {
    throw problem(
      'identity_unreadable',
      `the ConfigMap ${metadata.name} does not say who the session ${ref.name} is, as this version knows it`,
      `Put the ${file} back that it had, or use the version of the operator that made it.`,
    );
  }
  if (value.uid !== ref.uid) {
    throw problem(
      'identity_foreign',
      `the ConfigMap ${metadata.name} is of another session (uid ${value.uid}, not ${ref.uid})`,
      'Delete the session and make it again: its new uid gives everything of it another name.',
    );
  }
  return value;
}

function parsed(text: string): SessionIdentity | null {
  try {
    return JSON.parse(text) as SessionIdentity | null;
  } catch {
    return null;
  }
}

/** The identity is made before all else, so whatever else is there without it says that it was there once. */
async function refuseWhenLost(api: Api, ref: SessionRef, owner: KubeObject): Promise<void> {
  const { namespace } = ref;
  if (hasWitnesses(owner)) throw lost(ref, 'the status tells what its shards held');
  const name = objectNames(ref).redis;
  if ((await api.get({ apiVersion: 'apps/v1', kind: 'StatefulSet', namespace, name })) !== null) {
    throw lost(ref, `the StatefulSet ${name} is there`);
  }
  const labelSelector = `${labelNames.uid}=${ref.uid}`;
  const claims = await api.list({ apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, labelSelector });
  const claim = claims.items[0]?.metadata.name;
  if (claim !== undefined) throw lost(ref, `the volume claim ${claim} is there`);
}

/** A status that a backup of another session brought along does not count. */
function hasWitnesses({ metadata, status }: KubeObject): boolean {
  const { uid = metadata.uid, redis } = (status ?? {}) as { uid?: string; redis?: { witnesses?: readonly unknown[] } };
  return uid === metadata.uid && (redis?.witnesses?.length ?? 0) > 0;
}

function lost(ref: SessionRef, evidence: string): Problem {
  return problem(
    'identity_lost',
    `nobody knows any more who the shards of ${ref.namespace}/${ref.name} are: ${evidence}, but its identity is not`,
    `Restore the ConfigMap ${objectNames(ref).identity} from a backup. Nothing is started until then, and nothing is removed.`,
  );
}

function isCode(error: unknown, code: string): boolean {
  return isProblem(error) && error.code === code;
}
