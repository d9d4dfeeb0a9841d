import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Accounts } from './accounts.ts';
import type { Binaries } from './binaries.ts';
import type { Call } from './client.ts';
import type { Running, TestNode } from './node.ts';
import type { Place } from './place.ts';

interface Parts {
  readonly node: TestNode;
  readonly place: Place;
  readonly accounts: Accounts;
  readonly programs: Binaries;
}

/** Starts etcd and the API server, and resolves when the API server is ready. `call` is the admin's. */
export async function startApi({ node, place, accounts, programs }: Parts, call: Call): Promise<void> {
  const url = 'http://127.0.0.1:2379';
  node.start('etcd', [
    ...[programs.etcd, '--data-dir', join(place.folder, 'etcd'), '--unsafe-no-fsync', '--log-level', 'warn'],
    ...['--listen-client-urls', url, '--advertise-client-urls', url],
  ]);
  const server = node.start('kube-apiserver', [
    ...[programs['kube-apiserver'], `--etcd-servers=${url}`, `--cert-dir=${accounts.certificateFolder}`],
    ...[`--advertise-address=${place.nodeAddress}`, `--service-cluster-ip-range=${place.services}`],
    ...[`--service-account-key-file=${accounts.signingPublicKey}`, `--token-auth-file=${accounts.tokensFile}`],
    `--service-account-signing-key-file=${accounts.signingKey}`,
    '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
    ...['--authorization-mode=Node,RBAC', '--allow-privileged=true', '--enable-aggregator-routing=true'],
    // Otherwise `logs`, `exec` and `port-forward` look up the node's name.
    '--kubelet-preferred-address-types=InternalIP',
  ]);
  await server.until(async () => existsSync(accounts.certificate) && (await call('GET', '/readyz')).status === 200);
}

/** Starts what acts on the objects of the API. There is one of each, so nobody elects a leader. */
export function startControllers({ node, place, accounts, programs }: Parts): { manager: Running; scheduler: Running } {
  return {
    manager: node.start('kube-controller-manager', [
      programs['kube-controller-manager'],
      ...[`--kubeconfig=${accounts.kubeconfig('system:kube-controller-manager')}`, '--leader-elect=false'],
      ...[`--service-account-private-key-file=${accounts.signingKey}`, '--use-service-account-credentials'],
      // What pods trust: the API server's certificate, which is its own authority.
      `--root-ca-file=${accounts.certificate}`,
      `--flex-volume-plugin-dir=${join(place.folder, 'volume-plugins')}`,
    ]),
    scheduler: node.start('kube-scheduler', [
      programs['kube-scheduler'],
      ...[`--kubeconfig=${accounts.kubeconfig('system:kube-scheduler')}`, '--leader-elect=false'],
    ]),
  };
}
