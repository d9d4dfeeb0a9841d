import { generateKeyPairSync } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { stringify } from 'yaml';
import { findKubernetes, variable } from '#setup/findkubernetes.cjs';
import { onScopeEnd } from './cleanup.ts';
import { freePort } from './freeport.ts';
import { type Program, startProgram } from './process.ts';
import { tmpFolder } from './tmp.ts';
import { until } from './until.ts';

export interface ApiServerOptions {
  /** Added to the API server's command line: `['--audit-log-path=...']`. */
  readonly extraArgs?: readonly string[];
  /** Users beside the admin, without any rights before RBAC gives them some. Their token is their name. */
  readonly users?: readonly string[];
}

export interface Reply {
  readonly status: number;
  /** The JSON that came, or a Kubernetes `Status`. */
  readonly body: Record<string, unknown>;
}

/** A real kube-apiserver with an etcd of its own, without controllers, nodes or pods. Killed at the end of the test. */
export interface TestApiServer {
  readonly url: string;
  /** Of an admin (system:masters). */
  readonly token: string;
  /** The server's own certificate (PEM). */
  readonly ca: string;
  /** A kubeconfig file of the admin; `kubeconfigOf` makes one of another user. */
  readonly kubeconfig: string;
  kubeconfigOf(user: string): string;
  readonly pids: { readonly etcd: number; readonly apiserver: number };
  /** One HTTP request as the admin (or as `token`). Rejects only when no reply came. */
  call(method: string, path: string, options?: CallOptions): Promise<Reply>;
  /** Kills the API server (SIGKILL) and resolves when a new one, with the same etcd and address, is ready. For servers of one test. */
  restart(): Promise<void>;
  /** Lets etcd forget everything before now: who asks for it gets 410. The API server's own cache may still know. */
  compact(): Promise<void>;
  /** Runs kubectl as the admin, with `input` as its stdin file. */
  kubectl(args: readonly string[], input?: string): Promise<{ code: number | null; stdout: string; stderr: string }>;
}

export interface CallOptions {
  readonly body?: unknown;
  /** `application/json` when left out; patches name their kind. */
  readonly contentType?: string;
  readonly token?: string;
}

const adminToken = 'admin-token';
const startTimeoutMs = 90_000;
const portTries = 3;

/** Starts both and resolves when the API server is ready. `npm run test:cluster` gets the programs. */
export async function startApiServer(options: ApiServerOptions = {}): Promise<TestApiServer> {
  const programs = findKubernetes(process.env);
  if (programs === null) {
    throw new Error(`there is no etcd, kube-apiserver and kubectl: run npm run test:cluster, or set ${variable}`);
  }
  const folder = tmpFolder('apiserver');
  const etcd = await withPorts(2, ([client, peer]) => startEtcd(programs.etcd, folder, client!, peer!));
  writeAccounts(folder, options.users ?? []);
  const start = (port: number) =>
    startServer(programs['kube-apiserver'], folder, etcd.port, port, options.extraArgs ?? []);
  const server = await withPorts(1, ([port]) => start(port!));
  return control({ folder, kubectl: programs.kubectl, etcd, server, start });
}

interface Started {
  readonly port: number;
  readonly program: Program;
}

/** Somebody else may take a port that was free a moment ago: then others are tried. */
async function withPorts(count: number, start: (ports: number[]) => Promise<Started>): Promise<Started> {
  for (let tries = portTries; ; tries--) {
    const ports = await Promise.all(Array.from({ length: count }, () => freePort()));
    try {
      return await start(ports);
    } catch (error) {
      if (tries === 0 || !String(error).includes('address already in use')) throw error;
    }
  }
}

async function startEtcd(path: string, folder: string, port: number, peer: number): Promise<Started> {
  const url = `http://127.0.0.1:${port}`;
  const program = startProgram({
    argv: [
      ...[path, '--data-dir', join(folder, `etcd-${port}`), '--unsafe-no-fsync', '--log-level', 'warn'],
      ...['--listen-client-urls', url, '--advertise-client-urls', url],
      ...[
        '--listen-peer-urls',
        `http://127.0.0.1:${peer}`,
        '--initial-advertise-peer-urls',
        `http://127.0.0.1:${peer}`,
      ],
      ...['--initial-cluster', `default=http://127.0.0.1:${peer}`],
    ],
  });
  await alive(program, 'etcd', async () => (await fetch(`${url}/health`)).ok);
  return { port, program };
}

/** The signing key of service accounts, and the static tokens. */
function writeAccounts(folder: string, users: readonly string[]): void {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const options = { mode: 0o600 };
  writeFileSync(join(folder, 'sa.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }), options);
  writeFileSync(join(folder, 'sa.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
  const tokens = [`${adminToken},admin,admin,system:masters`, ...users.map((user) => `${user},${user},${user}`)];
  writeFileSync(join(folder, 'tokens.csv'), `${tokens.join('\n')}\n`, options);
}

async function startServer(
  path: string,
  folder: string,
  etcdPort: number,
  port: number,
  extraArgs: readonly string[],
): Promise<Started> {
  const program = startProgram({
    argv: [
      ...[path, `--etcd-servers=http://127.0.0.1:${etcdPort}`, `--cert-dir=${certificates(folder)}`],
      ...['--bind-address=127.0.0.1', '--advertise-address=127.0.0.1', `--secure-port=${port}`],
      ...[`--service-account-key-file=${join(folder, 'sa.pub')}`, '--service-cluster-ip-range=10.96.0.0/16'],
      `--service-account-signing-key-file=${join(folder, 'sa.key')}`,
      '--service-account-issuer=https://kubernetes.default.svc',
      ...['--authorization-mode=RBAC', `--token-auth-file=${join(folder, 'tokens.csv')}`, '--allow-privileged=true'],
      // No controller makes service accounts, and no node is there to reach.
      ...['--disable-admission-plugins=ServiceAccount', '--endpoint-reconciler-type=none', '-v=0'],
      ...extraArgs,
    ],
  });
  const ready = async () => {
    if (!existsSync(certificateOf(folder))) return false;
    const agent = new Agent({ ca: readFileSync(certificateOf(folder)) });
    return (await send(agent, port, 'GET', '/readyz', { token: adminToken })).status === 200;
  };
  await alive(program, 'kube-apiserver', ready);
  return { port, program };
}

function certificates(folder: string): string {
  return join(folder, 'pki');
}

/** The API server makes it at its start. */
function certificateOf(folder: string): string {
  return join(certificates(folder), 'apiserver.crt');
}

async function alive(program: Program, what: string, ready: () => Promise<boolean>): Promise<void> {
  const gone = () => program.exit !== undefined;
  await until(async () => gone() || (await ready()), { what: `${what} to be ready`, timeoutMs: startTimeoutMs });
  if (gone()) throw new Error(`${what} ended at its start:\n${program.stderr.slice(-3_000)}`);
}

interface Parts {
  readonly folder: string;
  readonly kubectl: string;
  readonly etcd: Started;
  readonly server: Started;
  readonly start: (port: number) => Promise<Started>;
}

function control({ folder, kubectl, etcd, server, start }: Parts): TestApiServer {
  const { port } = server;
  let { program } = server;
  const ca = readFileSync(certificateOf(folder), 'utf8');
  const agent = new Agent({ ca, keepAlive: true });
  onScopeEnd(() => agent.destroy());
  const url = `https://127.0.0.1:${port}`;
  const kubeconfigOf = (user: string) => writeKubeconfig(folder, url, user, user === 'admin' ? adminToken : user);
  const kubeconfig = kubeconfigOf('admin');
  let inputs = 0;
  return {
    ...{ url, token: adminToken, ca, kubeconfig, kubeconfigOf },
    get pids() {
      return { etcd: etcd.program.pid, apiserver: program.pid };
    },
    async restart() {
      program.kill();
      await program.ended();
      ({ program } = await start(port));
    },
    compact: () => compact(etcd.port),
    call: (method, path, options = {}) => send(agent, port, method, path, { token: adminToken, ...options }),
    kubectl: async (args, input) => {
      const common = ['--kubeconfig', kubeconfig, '--cache-dir', join(folder, 'kubectl')];
      const file = join(folder, `input-${inputs++}.yaml`);
      if (input !== undefined) writeFileSync(file, input);
      const given = args.map((arg) => (arg === '-' && input !== undefined ? file : arg));
      const run = startProgram({ argv: [kubectl, ...common, ...given] });
      const { code } = await run.ended(60_000);
      return { code, stdout: run.stdout, stderr: run.stderr };
    },
  };
}

/** By etcd's own HTTP: a range of one key tells the revision that everything has come to. */
async function compact(etcdPort: number): Promise<void> {
  const ask = async (path: string, body: object) => {
    const reply = await fetch(`http://127.0.0.1:${etcdPort}/v3/kv/${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
    });
    if (!reply.ok) throw new Error(`etcd answered ${path} with ${reply.status}: ${await reply.text()}`);
    return (await reply.json()) as { readonly header: { readonly revision: string } };
  };
  const { header } = await ask('range', { key: Buffer.from('/').toString('base64') });
  await ask('compaction', { revision: header.revision, physical: true });
}

function writeKubeconfig(folder: string, server: string, user: string, token: string): string {
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server, 'certificate-authority': certificateOf(folder) } }],
    users: [{ name: user, user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user, namespace: 'default' } }],
    'current-context': 'test',
  };
  const file = join(folder, `kubeconfig-${user}.yaml`);
  writeFileSync(file, stringify(config), { mode: 0o600 });
  return file;
}

async function send(agent: Agent, port: number, method: string, path: string, options: CallOptions): Promise<Reply> {
  const { body, contentType = 'application/json', token } = options;
  const headers = {
    ...{ authorization: `Bearer ${token}`, accept: 'application/json' },
    ...(body === undefined ? {} : { 'content-type': contentType }),
  };
  return new Promise((resolve, reject) => {
    const sent = request({ agent, host: '127.0.0.1', port, method, path, headers, timeout: 30_000 }, (reply) => {
      text(reply).then((said) => resolve({ status: reply.statusCode ?? 0, body: parsed(said) }), reject);
    });
    sent.on('timeout', () => sent.destroy(new Error(`no reply to ${method} ${path} within 30 s`)));
    sent.on('error', reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

function parsed(said: string): Record<string, unknown> {
  return said.startsWith('{') ? (JSON.parse(said) as Record<string, unknown>) : { message: said };
}
