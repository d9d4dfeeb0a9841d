import { KubeConfig } from '@kubernetes/client-node';
import { version } from '#exporter/version.ts';
import { type Api, createApi } from '#operator/kubernetes/runtime/api.ts';
import { messageOf } from '#queue/configfile.ts';
import { problem } from '#queue/problem.ts';
import type { PlaceOptions } from '../place.ts';

/** A cluster as kubectl would reach it. */
export interface Connection {
  readonly kubeConfig: KubeConfig;
  readonly api: Api;
  /** The one that was asked for, else that of the context, else `default`. */
  readonly namespace: string;
}

/** @throws Problem `kubeconfig_invalid` */
export function connectCluster({ kubeconfig, context, namespace }: PlaceOptions): Connection {
  const config = new KubeConfig();
  try {
    if (kubeconfig === undefined) config.loadFromDefault();
    else config.loadFromFile(kubeconfig);
  } catch (cause) {
    const message = `the kubeconfig cannot be used: ${messageOf(cause)}`;
    throw problem('kubeconfig_invalid', message, 'name another with --kubeconfig or KUBECONFIG', { cause });
  }
  if (context !== undefined) useContext(config, context);
  const current = config.getContextObject(config.getCurrentContext());
  return {
    kubeConfig: config,
    api: createApi(config, { userAgent: `kubectl-untradex/${version}` }),
    namespace: namespace ?? current?.namespace ?? 'default',
  };
}

function useContext(config: KubeConfig, context: string): void {
  const names = config.getContexts().map(({ name }) => name);
  if (!names.includes(context)) {
    const message = `the kubeconfig has no context ${context}`;
    throw problem('kubeconfig_invalid', message, `name one of ${names.join(', ')} with --context`);
  }
  config.setCurrentContext(context);
}
