import { createPublicKey, randomBytes } from 'node:crypto';
import { type AclUser, aclUsers, passwordHash } from '#queue/acl.ts';
import { isProblem, type Problem, problem } from '#queue/problem.ts';
import { generateReceiptKeys } from '#queue/receipt.ts';
import { gatewayFiles } from './gatewayconfig.ts';
import type { IdentityRecord } from './identity.ts';
import { objectNames, type SessionRef } from './names.ts';
import {
  accountsFile,
  accountsSecret,
  exporterSecret,
  gatewaySecret,
  operatorSecret,
  redisPasswordFile,
} from './resources/secrets.ts';
import type { Api, KubeObject } from './runtime/api.ts';

/** What the operator needs of a session's secrets. They live in Secrets, are read once, and are never logged. */
export interface SessionKeys {
  /** Checks receipts (PEM). Not a secret. */
  readonly receiptPublic: string;
  /** Of the account `operator` in Redis. */
  readonly operatorPassword: string;
  /** Of all accounts, as Redis keeps them. */
  readonly hashes: Readonly<Record<AclUser, string>>;
}

/**
 * Makes the secrets of a new session, and reads those of one that is known; all live. Made anew they would fit neither
 * the Redis that runs nor the receipts that students hold: once the identity names the receipts' key, nothing is made.
 * @throws Problem `session_keys_lost`
 */
export async function ensureSessionKeys(
  api: Api,
  ref: SessionRef,
  owner: KubeObject,
  identity: IdentityRecord,
): Promise<SessionKeys> {
  const part = { ref, owner };
  const names = objectNames(ref).secrets;
  const isNew = identity.value.receiptPublicKey === '';
  const ensure = async (name: string, make: () => KubeObject) => {
    const known = await api.get({ apiVersion: 'v1', kind: 'Secret', namespace: ref.namespace, name });
    if (known !== null) return known;
    if (!isNew) throw lost(ref, `the Secret ${name} is gone`);
    return createOnce(api, make());
  };

  const gateway = await ensure(names.gateway, () => gatewaySecret(part, newGatewaySecrets()));
  const exporter = await ensure(names.exporter, () => exporterSecret(part, randomSecret()));
  const operator = await ensure(names.operator, () => operatorSecret(part, randomSecret()));
  const passwords = {
    gateway: textOf(ref, gateway, redisPasswordFile),
    exporter: textOf(ref, exporter, redisPasswordFile),
    operator: textOf(ref, operator, redisPasswordFile),
  };
  const hashes = {
    gateway: passwordHash(passwords.gateway),
    exporter: passwordHash(passwords.exporter),
    operator: passwordHash(passwords.operator),
  };
  const accounts = await ensure(names.redis, () => accountsSecret(part, hashes));
  await checkAccounts(api, ref, accounts, accountsSecret(part, hashes), hashes, isNew);

  const receiptPublic = publicHalf(ref, gateway);
  await identity.update((now) => (now.receiptPublicKey === '' ? { ...now, receiptPublicKey: receiptPublic } : now));
  if (identity.value.receiptPublicKey !== receiptPublic) {
    throw lost(ref, `the Secret ${names.gateway} holds another receipt key than this session began with`);
  }
  return { receiptPublic, operatorPassword: passwords.operator, hashes };
}

function newGatewaySecrets() {
  return {
    redisPassword: randomSecret(),
    tokenKey: randomSecret(),
    connectionKey: randomSecret(),
    receiptPrivateKey: generateReceiptKeys().privateKey,
  };
}

function randomSecret(): string {
  return randomBytes(32).toString('base64url');
}

async function createOnce(api: Api, secret: KubeObject): Promise<KubeObject> {
  try {
    return await api.create(secret);
  } catch (error) {
    const { name, namespace } = secret.metadata;
    const isThere = isProblem(error) && error.code === 'api_exists';
    const made = isThere ? await api.get({ apiVersion: 'v1', kind: 'Secret', namespace: namespace!, name }) : null;
    if (made === null) throw error;
    return made;
  }
}

/** An older operator may have given the accounts other rights, which is its business; the passwords must fit. */
async function checkAccounts(
  api: Api,
  ref: SessionRef,
  accounts: KubeObject,
  wanted: KubeObject,
  hashes: SessionKeys['hashes'],
  isNew: boolean,
): Promise<void> {
  const text = textOf(ref, accounts, accountsFile);
  if (aclUsers.every((user) => text.includes(`#${hashes[user]}`))) return;
  if (!isNew) throw lost(ref, `the accounts in ${accounts.metadata.name} have other passwords than the programs`);
  await api.update({ ...accounts, data: wanted.data });
}

function textOf(ref: SessionRef, { metadata, data }: KubeObject, file: string): string {
  const text = (data as Record<string, string> | undefined)?.[file];
  if (text === undefined || text === '') throw lost(ref, `the Secret ${metadata.name} has no ${file}`);
  return Buffer.from(text, 'base64').toString('utf8');
}

function publicHalf(ref: SessionRef, gateway: KubeObject): string {
  try {
    const key = createPublicKey(textOf(ref, gateway, gatewayFiles.receipt));
    return key.export({ type: 'spki', format: 'pem' }) as string;
  } catch {
    // The error of the crypto library is not told: nobody knows what of the key is in it.
    throw lost(ref, `${gatewayFiles.receipt} in the Secret ${gateway.metadata.name} is no key`);
  }
}

function lost(ref: SessionRef, evidence: string): Problem {
  return problem(
    'session_keys_lost',
    `the keys of ${ref.namespace}/${ref.name} are not those that it began with: ${evidence}`,
    'Restore its Secrets from a backup. Nothing is made in their place: it would not fit what runs, nor the receipts that students hold.',
  );
}
