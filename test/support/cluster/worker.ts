import { mkdirSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Accounts } from './accounts.ts';
import type { Binaries } from './binaries.ts';
import type { Running, TestNode } from './node.ts';
import type { Place } from './place.ts';

export const nodeName = 'node1';
export const pauseImage = 'localhost/untradex-pause:1';

interface Parts {
  readonly node: TestNode;
  readonly place: Place;
  readonly accounts: Accounts;
  readonly programs: Binaries;
  /** The folder of the network plugins. */
  readonly plugins: string;
}

const overlayFileSystem = 0x794c7630;

/** Starts containerd and resolves when it takes images. Only paths inside the node, where /run is its own. */
export async function startContainerd({ node, place, plugins }: Parts): Promise<Running> {
  const configs = join(place.folder, 'cni');
  mkdirSync(configs);
  writeFileSync(join(configs, '10-pods.conflist'), JSON.stringify(network(place)));
  // Layers over a file system that is made of layers itself do not work: there they are copied.
  const snapshotter = statfsSync(place.folder).type === overlayFileSystem ? 'native' : 'overlayfs';
  const file = join(place.folder, 'containerd.toml');
  writeFileSync(file, containerdConfig({ folder: place.folder, snapshotter, plugins, configs }));
  const running = node.start('containerd', ['containerd', '--config', file]);
  await running.until(async () => (await node.attempt('ctr', 'version')).code === 0);
  return running;
}

/**
 * Every pod has a cable of its own to the node, which routes: so that also what goes from pod to pod by way of a service
 * passes the firewall rules that translate addresses, whether the kernel applies those to bridges or not. Nothing
 * enforces NetworkPolicies.
 */
function network(place: Place) {
  const ranges = [[{ subnet: place.pods }]];
  const ipam = { type: 'host-local', dataDir: '/run/cni-addresses', ranges, routes: [{ dst: '0.0.0.0/0' }] };
  return {
    cniVersion: '0.4.0',
    name: 'pods',
    plugins: [
      { type: 'ptp', ipMasq: true, ipam },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
  };
}

interface ContainerdPaths {
  readonly folder: string;
  readonly snapshotter: string;
  readonly plugins: string;
  readonly configs: string;
}

/** Version 2 is understood by containerd 1 and 2. Without the right to lower them, OOM scores can only be raised. */
function containerdConfig({ folder, snapshotter, plugins, configs }: ContainerdPaths): string {
  return `version = 2
root = ${JSON.stringify(join(folder, 'containerd'))}
state = "/run/containerd"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = ${JSON.stringify(join(folder, 'containerd-opt'))}
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  sandbox_image = "${pauseImage}"
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = ${JSON.stringify(plugins)}
  conf_dir = ${JSON.stringify(configs)}
[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "${snapshotter}"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
`;
}

/** Starts the kubelet and kube-proxy. */
export function startWorker({ node, place, accounts, programs }: Parts): { kubelet: Running; proxy: Running } {
  const [kubeletFile, proxyFile] = [join(place.folder, 'kubelet.yaml'), join(place.folder, 'kube-proxy.yaml')];
  writeFileSync(kubeletFile, stringify(kubeletConfig(place)));
  writeFileSync(proxyFile, stringify(proxyConfig(place, accounts)));
  const root = join(place.folder, 'kubelet');
  return {
    proxy: node.start('kube-proxy', [programs['kube-proxy'], `--config=${proxyFile}`]),
    kubelet: node.start('kubelet', [
      ...[programs.kubelet, `--config=${kubeletFile}`, `--kubeconfig=${accounts.kubeconfig('system:node:node1')}`],
      ...[`--root-dir=${root}`, `--cert-dir=${join(root, 'pki')}`],
      ...[`--hostname-override=${nodeName}`, `--node-ip=${place.nodeAddress}`],
    ]),
  };
}

/**
 * The kubelet's port is open to whoever reaches the node: this machine and the pods of tests. Its garbage collection
 * and evictions are off, because the disk is this machine's, and others fill it.
 */
function kubeletConfig({ name, folder, nodeAddress, pods, dnsAddress }: Place) {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address: nodeAddress,
    authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
    authorization: { mode: 'AlwaysAllow' },
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${name}`,
    clusterDNS: [dnsAddress],
    clusterDomain: 'cluster.local',
    containerRuntimeEndpoint: 'unix:///run/containerd/containerd.sock',
    enforceNodeAllocatable: [],
    evictionHard: { 'memory.available': '100Mi', 'nodefs.available': '1%', 'imagefs.available': '1%' },
    failCgroupV1: false,
    failSwapOn: false,
    imageGCHighThresholdPercent: 100,
    podCIDR: pods,
    podLogsDir: join(folder, 'log', 'pods'),
    resolvConf: '',
    serializeImagePulls: false,
    volumePluginDir: join(folder, 'volume-plugins'),
  };
}

/** The kernel's tables of connections are the machine's, and may not be resized from a network namespace: 0 leaves them. */
function proxyConfig({ pods, nodeAddress }: Place, accounts: Accounts) {
  return {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    bindAddress: nodeAddress,
    clientConnection: { kubeconfig: accounts.kubeconfig('system:kube-proxy') },
    clusterCIDR: pods,
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
    hostnameOverride: nodeName,
    mode: 'iptables',
  };
}
