import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Place } from './place.ts';

/** Everybody who talks to the API server as itself, with the groups that RBAC's own roles and the node authorizer know. */
const groupOf = {
  admin: 'system:masters',
  'system:kube-controller-manager': '',
  'system:kube-scheduler': '',
  'system:kube-proxy': '',
  'system:coredns': '',
  'system:node:node1': 'system:nodes',
} as const;

export type Account = keyof typeof groupOf;

export interface Accounts {
  /** The API server makes its certificate at its start; it is its own authority. */
  readonly certificateFolder: string;
  readonly certificate: string;
  readonly tokensFile: string;
  /** The key pair that signs the tokens of service accounts. */
  readonly signingKey: string;
  readonly signingPublicKey: string;
  /** A kubeconfig file of the account. Its context is called `test`. */
  kubeconfig(account: Account): string;
}

/** Makes keys and random tokens, in files that only this user may read. */
export function makeAccounts({ folder, nodeAddress }: Place): Accounts {
  const at = (name: string) => join(folder, name);
  const mode = 0o600;
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  writeFileSync(at('sa.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode });
  writeFileSync(at('sa.pub'), publicKey.export({ type: 'spki', format: 'pem' }), { mode });
  const tokens = new Map(Object.keys(groupOf).map((name) => [name, randomBytes(24).toString('base64url')]));
  const lines = Object.entries(groupOf).map(([name, group]) => `${tokens.get(name)},${name},${name},"${group}"`);
  writeFileSync(at('tokens.csv'), `${lines.join('\n')}\n`, { mode });
  const certificateFolder = at('pki');
  const certificate = join(certificateFolder, 'apiserver.crt');
  const cluster = { server: `https://${nodeAddress}:6443`, 'certificate-authority': certificate };
  return {
    certificateFolder,
    certificate,
    tokensFile: at('tokens.csv'),
    signingKey: at('sa.key'),
    signingPublicKey: at('sa.pub'),
    kubeconfig(account) {
      const file = at(`kubeconfig-${account.split(':').at(-1)}.yaml`);
      if (!existsSync(file)) writeFileSync(file, stringify(configOf(account, tokens.get(account)!, cluster)), { mode });
      return file;
    },
  };
}

function configOf(user: string, token: string, cluster: Readonly<Record<string, string>>) {
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster }],
    users: [{ name: user, user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user, namespace: 'default' } }],
    'current-context': 'test',
  };
}
