import { type ExamSession, examName } from '../examsession.ts';
import type { DesiredGateways } from '../plan.ts';
import { originsOf } from './access.ts';
import { type ClusterSettings, paths, ports } from './clustersettings.ts';
import { digestOf } from './digest.ts';
import { objectNames, type SessionRef } from './names.ts';

/** What `gateway/main.ts --config` reads. */
export type GatewayConfig = ReturnType<typeof gatewayConfig>;

export interface GatewayConfigInput {
  readonly ref: SessionRef;
  readonly session: ExamSession;
  readonly shards: readonly { readonly shard: number; readonly incarnation: string }[];
  readonly desired: Pick<DesiredGateways, 'mode' | 'connections'>;
  readonly settings: ClusterSettings;
}

/** How long a gateway takes to send its students elsewhere: so that thousands do not come to the others at once. */
export const drainSeconds = 20;

/** File names within {@link paths.config} and {@link paths.keys}. */
export const gatewayFiles = {
  config: 'gateway.json',
  redisPassword: 'redis-password',
  token: 'token.key',
  connectionToken: 'connection.key',
  receipt: 'receipt.pem',
} as const;

/** A gateway's configuration on a cluster: pure, from who the session is and what is desired. It holds no secret. */
export function gatewayConfig({ ref, session, shards, desired, settings }: GatewayConfigInput) {
  const { auth, access, rehearsal } = session.spec;
  const names = objectNames(ref);
  const key = (name: string) => `${paths.keys}/${name}`;
  return {
    session: { name: ref.name, uid: ref.uid, exam: examName(session), rehearsal },
    listen: { host: '0.0.0.0', port: ports.gateway },
    ops: { host: '0.0.0.0', port: ports.ops },
    shards: shards.map(({ shard, incarnation }) => ({
      host: `${names.redisPod(shard)}.${names.redis}.${ref.namespace}.svc.${settings.clusterDomain}`,
      port: ports.redis,
      username: 'gateway',
      passwordFile: key(gatewayFiles.redisPassword),
      tls: null,
      incarnation,
    })),
    auth: {
      secretFile: auth.jwksUrl === undefined ? key(gatewayFiles.token) : null,
      jwksUrl: auth.jwksUrl ?? null,
      issuer: auth.issuer ?? null,
      audience: auth.audience ?? ref.name,
    },
    receipt: { privateKeyFile: key(gatewayFiles.receipt) },
    connectionTokenKeyFile: key(gatewayFiles.connectionToken),
    mode: desired.mode,
    origins: originsOf(access),
    drainSeconds,
    logLevel: 'info',
    capacity: desired.connections,
  };
}

/**
 * Tells whether a session wants other gateways than those that were made: a digest of its wishes, not of what this
 * version of the operator makes of them, so that an upgraded operator restarts no gateway of an exam that runs.
 *
 * A field that is added here must change nothing where the session does not use it.
 */
export function gatewayInputs(
  input: Pick<GatewayConfigInput, 'session' | 'shards' | 'desired'> & { readonly image: string },
): string {
  const { session, shards, desired, image } = input;
  const { exam, auth, rehearsal, access, gateway, students } = session.spec;
  const { replicas, studentsPerReplica, minReplicas, maxReplicas, resources, pod } = gateway;
  const isFixed = replicas !== undefined || minReplicas !== undefined || maxReplicas !== undefined;
  return digestOf({
    ...{ exam, auth, rehearsal, resources, pod, image },
    origins: originsOf(access),
    // More students mean more gateways, and others only where their number is given.
    load: isFixed ? { studentsPerReplica, replicas, minReplicas, maxReplicas, students } : { studentsPerReplica },
    mode: desired.mode,
    incarnations: shards.map(({ incarnation }) => incarnation),
  });
}
