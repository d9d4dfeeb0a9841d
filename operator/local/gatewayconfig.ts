import { examName } from '../examsession.ts';
import type { DesiredGateways } from '../plan.ts';
import type { DataFolder } from './datafolder.ts';
import type { LocalIdentity } from './identityfile.ts';

/** What `gateway/main.ts --config` reads. */
export type GatewayConfig = ReturnType<typeof gatewayConfig>;

/** How long a gateway may take to flush and say goodbye. */
const drainSeconds = 5;

/** A gateway's configuration on one machine: pure, from who the session is and what is desired. */
export function gatewayConfig(folder: DataFolder, identity: LocalIdentity, desired: DesiredGateways, host: string) {
  const { session, uid, shards, gatewayPort } = identity;
  const { auth, access, rehearsal } = session.spec;
  const { name } = session.metadata;
  return {
    session: { name, uid, exam: examName(session), rehearsal },
    listen: { host, port: gatewayPort },
    ops: { host: '127.0.0.1', port: 0 },
    shards: shards.map(({ port, incarnation }) => ({
      host: '127.0.0.1',
      port,
      username: 'gateway',
      passwordFile: folder.keys.redisPassword('gateway'),
      tls: null,
      incarnation,
    })),
    auth: {
      secretFile: auth.jwksUrl === undefined ? folder.keys.token : null,
      jwksUrl: auth.jwksUrl ?? null,
      issuer: auth.issuer ?? null,
      audience: auth.audience ?? name,
    },
    receipt: { privateKeyFile: folder.keys.receipt },
    connectionTokenKeyFile: folder.keys.token,
    mode: desired.mode,
    origins: access.origins,
    drainSeconds,
    logLevel: 'info',
    capacity: desired.connections,
  };
}
