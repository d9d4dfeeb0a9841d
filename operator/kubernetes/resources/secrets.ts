import { type AclUser, aclFile } from '#queue/acl.ts';
import { gatewayFiles } from '../gatewayconfig.ts';
import { type Component, objectNames } from '../names.ts';
import type { KubeObject } from '../runtime/object.ts';
import { type Part, partMetadata } from './part.ts';

/**
 * The secrets of one session, one object a program, so that none sees another's. They are made once and never changed;
 * the only place where a secret of a session stands is `data` of one of these.
 */

/** Name of the file with an account's password of Redis, in the Secret of its program. */
export const redisPasswordFile = gatewayFiles.redisPassword;
export const accountsFile = 'users.acl';

export function operatorSecret(part: Part, redisPassword: string): KubeObject {
  return secret(part, 'session', objectNames(part.ref).secrets.operator, { [redisPasswordFile]: redisPassword });
}

export interface GatewaySecrets {
  readonly redisPassword: string;
  /** Signs students' tokens, where the session has no other issuer. */
  readonly tokenKey: string;
  /** Signs connection tokens, which any gateway takes. */
  readonly connectionKey: string;
  /** PEM. */
  readonly receiptPrivateKey: string;
}

export function gatewaySecret(part: Part, secrets: GatewaySecrets): KubeObject {
  return secret(part, 'gateway', objectNames(part.ref).secrets.gateway, {
    [gatewayFiles.redisPassword]: secrets.redisPassword,
    [gatewayFiles.token]: secrets.tokenKey,
    [gatewayFiles.connectionToken]: secrets.connectionKey,
    [gatewayFiles.receipt]: secrets.receiptPrivateKey,
  });
}

export function exporterSecret(part: Part, redisPassword: string): KubeObject {
  return secret(part, 'exporter', objectNames(part.ref).secrets.exporter, { [redisPasswordFile]: redisPassword });
}

/** Redis's accounts: hashes of the passwords only. */
export function accountsSecret(part: Part, passwordHashes: Readonly<Record<AclUser, string>>): KubeObject {
  return secret(part, 'redis', objectNames(part.ref).secrets.redis, { [accountsFile]: aclFile(passwordHashes) });
}

function secret(part: Part, component: Component, name: string, files: Readonly<Record<string, string>>): KubeObject {
  const data = Object.entries(files).map(([file, text]) => [file, Buffer.from(text).toString('base64')]);
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: partMetadata(part, component, name),
    type: 'Opaque',
    data: Object.fromEntries(data),
  };
}
