import { KubeConfig } from '@kubernetes/client-node';
import { version } from '#exporter/version.ts';
import { type Api, createApi } from '#operator/kubernetes/runtime/api.ts';
import { messageOf } from '#queue/configfile.ts';
import { isProblem, problem } from '#queue/problem.ts';
import type { PlaceOptions } from '../place.ts';

/** A cluster as kubectl would reach it. */
export interface Connection {
  readonly kubeConfig: KubeConfig;
  readonly api: Api;
  /** The one that was asked for, else that of the context, else `default`. */
  readonly namespace: string;
  /** An error of the API in the words for who sits before a terminal; other errors as they are. */
  explained(error: unknown): unknown;
}

/** @throws Problem `kubeconfig_invalid` */
export function connectCluster({ kubeconfig, context, namespace }: PlaceOptions): Connection {
  const config = loadConfig(kubeconfig);
  if (context !== undefined) useContext(config, context);
  const current = config.getContextObject(config.getCurrentContext());
  const server = config.getCurrentCluster()?.server;
  if (server === undefined) {
    const message = `the kubeconfig has no usable context${current ? ` ${current.name}` : ''}`;
    throw problem('kubeconfig_invalid', message, `${choose(config)}, or another file with --kubeconfig or KUBECONFIG`);
  }
  const where = `the cluster of the context ${config.getCurrentContext()} (${server})`;
  const explained = (error: unknown) => explain(error, where);
  const api = explaining(createApi(config, { userAgent: `kubectl-untradex/${version}` }), explained);
  return { kubeConfig: config, api, namespace: namespace ?? current?.namespace ?? 'default', explained };
}

function loadConfig(file: string | undefined): KubeConfig {
  const config = new KubeConfig();
  try {
    if (file === undefined) config.loadFromDefault();
    else config.loadFromFile(file);
  } catch (cause) {
    const message = `the kubeconfig cannot be used: ${messageOf(cause)}`;
    throw problem('kubeconfig_invalid', message, 'name another with --kubeconfig or KUBECONFIG', { cause });
  }
  return config;
}

function useContext(config: KubeConfig, context: string): void {
  if (!config.getContexts().some(({ name }) => name === context)) {
    throw problem('kubeconfig_invalid', `the kubeconfig has no context ${context}`, choose(config));
  }
  config.setCurrentContext(context);
}

function choose(config: KubeConfig): string {
  const names = config.getContexts().map(({ name }) => name);
  return names.length === 0 ? 'name one that has contexts' : `name one of ${names.join(', ')} with --context`;
}

/** The operator tries everything again by itself; a command does not, and its user is somebody else than a role. */
function explain(error: unknown, where: string): unknown {
  if (!isProblem(error)) return error;
  const options = { cause: error };
  // `cannot get pods exams/x: connect ECONNREFUSED`: what was wanted does not matter when nobody answers.
  const why = error.message.slice(error.message.indexOf(': ') + 2);
  switch (error.code) {
    case 'api_unreachable':
    case 'api_timeout': {
      const remedy = 'check that it runs and can be reached from here (network, VPN, proxy), or name another --context';
      return problem('cluster_unreachable', `${where} does not answer: ${why}`, remedy, options);
    }
    case 'api_unauthorized': {
      const remedy = 'log in again as its provider says; `kubectl auth whoami` tells who you are';
      return problem('cluster_unauthorized', `${where} does not know you: ${why}`, remedy, options);
    }
    default:
      return error;
  }
}

/** The same API; what it rejects with is explained. */
function explaining(api: Api, explained: (error: unknown) => unknown): Api {
  const wrap =
    <A extends unknown[], R>(call: (...given: A) => Promise<R>) =>
    async (...given: A): Promise<R> => {
      try {
        return await call(...given);
      } catch (error) {
        throw explained(error);
      }
    };
  const { get, list, create, apply, update, patch, remove, watch, raw } = api;
  return {
    ...api,
    ...{ get: wrap(get), list: wrap(list), create: wrap(create), apply: wrap(apply), update: wrap(update) },
    ...{ patch: wrap(patch), remove: wrap(remove), watch: wrap(watch), raw: wrap(raw) },
  };
}
