import { readFileSync } from 'node:fs';
import { Agent, type RequestOptions, request } from 'node:https';
import { text } from 'node:stream/consumers';
import { KubeConfig } from '@kubernetes/client-node';
import { findKubernetes } from '#setup/findkubernetes.cjs';
import { type CommandOptions, type Ended, runCommand } from './command.ts';

export interface CallOptions {
  readonly body?: unknown;
  /** `application/json` when left out; patches name their kind. */
  readonly contentType?: string;
  /** Somebody else's; the admin's way of logging in is not used then. */
  readonly token?: string;
}

export interface Reply {
  readonly status: number;
  /** The JSON that came, or a Kubernetes `Status`; a text as its `message`. */
  readonly body: Record<string, unknown>;
}

/** One HTTP request as the admin, or with `token`. Rejects only when no reply came, within 30 s. */
export type Call = (method: string, path: string, options?: CallOptions) => Promise<Reply>;

/** Calls the API server that a kubeconfig file names. The file is read at the first call, when all it names exists. */
export function createCall(kubeconfig: string): Call {
  let config: KubeConfig | undefined;
  return async (method, path, options = {}) => {
    if (config === undefined) {
      config = new KubeConfig();
      config.loadFromFile(kubeconfig);
    }
    const { server } = config.getCurrentCluster() ?? { server: '' };
    const { body, contentType = 'application/json', token } = options;
    const account = token === undefined ? await accountOf(config) : bearer(config, token);
    const headers = {
      ...account.headers,
      accept: 'application/json',
      ...(body === undefined ? {} : { 'content-type': contentType }),
    };
    return send(new URL(server + path), { ...account, method, headers, timeout: 30_000 }, body);
  };
}

async function accountOf(config: KubeConfig): Promise<RequestOptions> {
  const options: RequestOptions = {};
  await config.applyToHTTPSOptions(options);
  return options;
}

function bearer(config: KubeConfig, token: string): RequestOptions {
  const { caData, caFile } = config.getCurrentCluster() ?? {};
  const ca = caData === undefined ? caFile && readFileSync(caFile) : Buffer.from(caData, 'base64');
  return { agent: new Agent(ca ? { ca } : {}), headers: { authorization: `Bearer ${token}` } };
}

function send(url: URL, options: RequestOptions, body: unknown): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const sent = request(url, options, (reply) => {
      text(reply).then((said) => resolve({ status: reply.statusCode ?? 0, body: parsed(said) }), reject);
    });
    sent.on('timeout', () => sent.destroy(new Error(`no reply to ${options.method} ${url.pathname} within 30 s`)));
    sent.on('error', reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

function parsed(said: string): Record<string, unknown> {
  return said.startsWith('{') ? (JSON.parse(said) as Record<string, unknown>) : { message: said };
}

/** Runs a program that reads KUBECONFIG, with it, to its end. */
export type Tool = (
  args: readonly string[],
  input?: string,
  options?: Pick<CommandOptions, 'timeoutMs'>,
) => Promise<Ended>;

/** @param more variables, such as those of the folders where the program keeps things: with the cluster's */
export function createTool(program: string, kubeconfig: string, more: Readonly<Record<string, string>>): Tool {
  const env = { ...process.env, ...more, KUBECONFIG: kubeconfig };
  return (args, input, options) =>
    runCommand([program, ...args], { ...options, env, ...(input === undefined ? {} : { input }) });
}

export function helmHomes(folder: string): Record<string, string> {
  return { HELM_CACHE_HOME: folder, HELM_CONFIG_HOME: folder, HELM_DATA_HOME: folder };
}

/** @throws when they are not found */
export function findTools(env: NodeJS.ProcessEnv): { readonly kubectl: string; readonly helm: string } {
  const { kubectl } = findKubernetes(env) ?? findKubernetes({ ...env, KUBEBUILDER_ASSETS: '' }, ['kubectl']) ?? {};
  const { helm } = findKubernetes(env, ['helm']) ?? {};
  if (kubectl && helm) return { kubectl, helm };
  throw new Error('there is no kubectl or no helm: run npm run test:cluster, which builds them, or put them on PATH');
}
