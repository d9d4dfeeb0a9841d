import type { Logger } from 'pino';
import { apiVersion, type ExamSession, kind } from '../examsession.ts';
import type { Desired } from '../plan.ts';
import type { Observed, Platform } from '../platform.ts';
import type { SessionStatus } from '../status.ts';
import { readStatus, storedStatus } from '../statusschema.ts';
import { createClusterAttempts } from './attempts.ts';
import type { SessionCache } from './cache.ts';
import type { ClusterSettings } from './clustersettings.ts';
import { createClusterGateways } from './gateways.ts';
import type { IdentityRecord } from './identity.ts';
import type { Wish } from './inforce.ts';
import { annotationNames, type SessionRef } from './names.ts';
import type { Api, KubeObject } from './runtime/api.ts';
import { createClusterSamples } from './samples.ts';
import type { SessionKeys } from './sessionkeys.ts';
import { differsInCountsOnly } from './sessionstatus.ts';
import { createClusterShards } from './shards.ts';

export interface ClusterPlatformParts {
  readonly api: Api;
  readonly ref: SessionRef;
  readonly settings: ClusterSettings;
  readonly identity: IdentityRecord;
  readonly keys: SessionKeys;
  readonly cache: SessionCache;
  readonly log: Logger;
  /** What this pass is about: the session as it was just read from etcd, and what of it is in force. */
  readonly look: () => Look;
  /** Told of each status that was written. */
  readonly onStatus: (before: SessionStatus | null, after: SessionStatus, live: KubeObject) => void;
}

export interface Look {
  readonly live: KubeObject;
  readonly session: ExamSession;
  readonly wish: Wish;
}

/** Field manager of the status. */
export const statusManager = 'untradex-status';
/** A status that differs in live counts only is written this often at most. */
const countsEveryMs = { Exporting: 4_000, other: 14_000 } as const;

export interface ClusterPlatform extends Platform {
  /** Ends what is under way in this process. What runs on the cluster goes on. */
  close(): void;
}

/**
 * The platform on a cluster, for one session. A pass begins with the session as it was just read, live, so the status
 * that is decided by is the one that was written: `status.sealing` was read back before any shard is sealed.
 */
export function createClusterPlatform(parts: ClusterPlatformParts): ClusterPlatform {
  const { api, ref, identity, keys, cache, look } = parts;
  const common = { ...parts, owner: ownerOf(ref), session: () => look().session, roster: () => look().wish.roster };
  const shards = createClusterShards(common);
  const gateways = createClusterGateways(common);
  const attempts = createClusterAttempts(common);
  const samples = createClusterSamples({ cache });
  let countedAt = Number.NEGATIVE_INFINITY;

  async function observe(): Promise<Observed> {
    const { live, session, wish } = look();
    const [observedShards, attempt] = await Promise.all([shards.observe(), attempts.observe()]);
    return {
      place: 'cluster',
      session,
      generation: live.metadata.generation ?? 1,
      editFault: wish.fault,
      paused: live.metadata.annotations?.[annotationNames.paused] === 'true',
      roster: wish.roster,
      identity: {
        uid: ref.uid,
        shards: identity.value.shards.map(({ shard, incarnation, born }) => ({ shard, incarnation, born })),
      },
      status: ownStatus(ref, live),
      shards: observedShards,
      gateways: gateways.observe(),
      attempt,
      url: gateways.url(),
      receiptPublicKey: keys.receiptPublic,
    };
  }

  async function apply(desired: Desired): Promise<void> {
    await gateways.apply(desired.gateways);
    // Redis goes last: until then a gateway may still be answering.
    if (desired.shards.running || gateways.observe().length === 0) await shards.apply(desired.shards);
    await attempts.apply(desired.attempt);
  }

  async function writeStatus(status: SessionStatus): Promise<void> {
    const { live } = look();
    const before = ownStatus(ref, live);
    const everyMs = status.phase === 'Exporting' ? countsEveryMs.Exporting : countsEveryMs.other;
    const isRecent = performance.now() - countedAt < everyMs;
    if (isRecent && before !== null && differsInCountsOnly(before, status)) return;
    await putStatus(api, ref, status);
    countedAt = performance.now();
    parts.onStatus(before, status, live);
  }

  return {
    observe,
    apply,
    writeStatus,
    async recordBorn(born) {
      await identity.update((now) => ({
        ...now,
        shards: now.shards.map((shard) => (born.includes(shard.shard) ? { ...shard, born: true } : shard)),
      }));
    },
    sample: () => samples.sample(),
    // The controller's caches bring passes, for all sessions.
    watch: () => () => {},
    async remove() {
      await gateways.remove();
      await attempts.remove();
      await shards.remove();
      samples.stop();
    },
    close: () => samples.stop(),
  };
}

/** The status of this very session. One that a backup of another session brought along does not count. */
export function ownStatus(ref: SessionRef, live: KubeObject): SessionStatus | null {
  const status = readStatus(live.status);
  return status?.uid === ref.uid ? status : null;
}

/** By the uid: a session that was deleted and made again under the same name gets nothing of the old one. */
export async function putStatus(api: Api, ref: SessionRef, status: SessionStatus): Promise<void> {
  const body = { apiVersion, kind, metadata: { ...ref }, status: storedStatus(status) };
  await api.apply(body, { manager: statusManager, subresource: 'status' });
}

function ownerOf({ namespace, name, uid }: SessionRef): KubeObject {
  return { apiVersion, kind, metadata: { namespace, name, uid } };
}
