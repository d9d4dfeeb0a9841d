import type { V1Deployment, V1PodTemplateSpec } from '@kubernetes/client-node';
import type { Logger } from 'pino';
import { isProblem } from '#queue/problem.ts';
import type { ExamSession } from '../examsession.ts';
import type { DesiredGateways } from '../plan.ts';
import { type GatewayMode, type GatewayObserved, gatewayModes } from '../platform.ts';
import { provisionAt } from '../stage.ts';
import { routeOf, urlOf } from './access.ts';
import { createApplied } from './applied.ts';
import type { ClusterSettings } from './clustersettings.ts';
import { gatewayConfig, gatewayInputs } from './gatewayconfig.ts';
import { createGatewayFaults, podsRefused } from './gatewayfaults.ts';
import { type Component, managedBy, objectNames, type SessionRef, selectorOf } from './names.ts';
import { podFault } from './podfault.ts';
import { isOver, isReady, type PodView } from './podview.ts';
import { autoscaler, type ReplicaRange, replicaRange, replicasToSet } from './resources/autoscaler.ts';
import { gatewayAccount } from './resources/gatewayaccount.ts';
import { gatewayBudget } from './resources/gatewaybudget.ts';
import { gatewayConfigMap } from './resources/gatewayconfigmap.ts';
import { configOf, gatewayDeployment, keepingPods, modeLabel } from './resources/gatewaydeployment.ts';
import { gatewayService } from './resources/gatewayservice.ts';
import { httpRoute } from './resources/httproute.ts';
import { ingress } from './resources/ingress.ts';
import { exporterPolicy, gatewayPolicy, redisPolicy } from './resources/networkpolicies.ts';
import type { Api, ObjectRef } from './runtime/api.ts';
import type { KubeObject } from './runtime/object.ts';

/**
 * The gateways of one session on a cluster: a Deployment and what leads to it.
 *
 * A pod lives with the configuration that it was made with, a ConfigMap that never changes. When another one is wanted,
 * the Deployment rolls over to pods with it, new ones first; the old ConfigMap goes when no pod has it any more. That
 * is also how gateways come to answer only, after the seal.
 *
 * Every write can be the last before a crash: the next pass begins at the top and finds what is there. The Deployment
 * is removed last, so a removal that was cut off is seen by it.
 */
export interface ClusterGateways {
  /** @throws what can be tried again; what a person must mend is a fault of {@link ClusterGateways.observe} */
  apply(desired: DesiredGateways): Promise<void>;
  /** One a pod that runs or is to run, and one for each thing that keeps gateways from being made or reached. */
  observe(): GatewayObserved[];
  /** Where students connect; null while nobody can. */
  url(): string | null;
  /** Removes everything of them but the network policies, which go with the session. Pods drain and end later. */
  remove(): Promise<void>;
}

export interface ClusterGatewaysParts {
  readonly api: Api;
  readonly ref: SessionRef;
  readonly owner: KubeObject;
  readonly settings: ClusterSettings;
  readonly session: () => ExamSession;
  readonly identity: {
    readonly value: {
      readonly shards: readonly { readonly shard: number; readonly incarnation: string }[];
      readonly images: { readonly untradex: string };
    };
  };
  readonly cache: {
    pods(component: Component): readonly KubeObject[];
    deployment(): KubeObject | null;
    statefulSet(): KubeObject | null;
  };
  readonly log: Pick<Logger, 'warn'>;
  /** ms since 1970. */
  readonly now?: () => number;
}

export function createClusterGateways(parts: ClusterGatewaysParts): ClusterGateways {
  const { api, ref, owner, settings, session, identity, cache, log, now = Date.now } = parts;
  const part = { ref, owner };
  const refs = refsOf(ref);
  const applied = createApplied(api, { manager: managedBy, now });
  const faults = createGatewayFaults(log);
  /** Something may be there that is to be removed. */
  let made = false;
  /** Configurations may be there that no pod has. */
  let sweepDue = true;
  /** What new pods get, by the template that was applied last. */
  let configOfNext: string | undefined;

  async function apply(desired: DesiredGateways): Promise<void> {
    if (settings.networkPolicies && isUnderWay(desired)) await applyPolicies();
    if (desired.hold) return;
    if (desired.replicas === 0) return stop();
    made = true;
    const { spec } = session();
    const range = replicaRange(desired, spec.gateway);
    const isScaled = spec.gateway.autoscale && desired.mode === 'serve';
    await faults.attempt('ServiceAccount', () => ensure(gatewayAccount(part)));
    await faults.attempt('Service', () => ensure(gatewayService(part)));
    // First: else it could undo the number that is set.
    if (!isScaled) await applied.absent(refs.autoscaler);
    await faults.attempt('Deployment', () => applyDeployment(desired, range));
    if (isScaled) await faults.attempt('HorizontalPodAutoscaler', () => ensure(autoscaler(part, range)));
    await faults.attempt('PodDisruptionBudget', () => ensure(gatewayBudget(part)));
    await applyRoute(spec.access);
  }

  /** Redis, gateways and exporters: before the first of them runs, and not for sessions that only wait or are over. */
  function isUnderWay({ replicas }: DesiredGateways): boolean {
    const shards = cache.statefulSet();
    return replicas > 0 || (shards === null ? provisionAt(session()) <= now() : replicasOf(shards) > 0);
  }

  async function applyPolicies(): Promise<void> {
    for (const build of [redisPolicy, gatewayPolicy, exporterPolicy]) {
      await faults.attempt(`NetworkPolicy ${build.name}`, () => ensure(build(part, settings)));
    }
  }

  async function ensure(object: KubeObject): Promise<void> {
    await applied.ensure(object);
  }

  async function applyDeployment(desired: DesiredGateways, range: ReplicaRange): Promise<void> {
    const { shards, images } = identity.value;
    const common = { session: session(), shards, desired };
    const configMap = gatewayConfigMap(part, gatewayConfig({ ...common, ref, settings }));
    const built = gatewayDeployment({
      ...part,
      ...{ spec: session().spec, desired, settings, image: images.untradex },
      config: configMap.metadata.name,
      inputs: gatewayInputs({ ...common, image: images.untradex }),
    });
    const cached = cache.deployment();
    let fresh: KubeObject | null = null;
    if (applied.isDue(built, cached)) {
      // Read live: what another version made is kept by what it is now, not by what it was.
      const object = keepingPods(built, await api.get(refs.deployment));
      if (object === built) await ensure(configMap);
      fresh = await api.apply(object, { manager: managedBy });
      applied.keep(built, fresh);
      configOfNext = configOf((fresh as DeploymentObject).spec?.template);
      sweepDue = true;
    }
    const scaled = await scale(fresh, range);
    if (scaled !== null) applied.keep(built, scaled);
    if (fresh === null && cached !== null && sweepDue) await sweep(cached as DeploymentObject);
  }

  /**
   * Sets the number where nothing else does, and what it may be at least and at most where an autoscaler does.
   * @param live as it was just read; null when only the cache knows it
   * @returns the Deployment when it was scaled
   */
  async function scale(live: KubeObject | null, range: ReplicaRange): Promise<KubeObject | null> {
    let known = live ?? cache.deployment();
    let isLive = live !== null;
    for (let tries = 0; tries < scaleTries; tries++) {
      const replicas = known === null ? null : replicasToSet(replicasOf(known), range);
      if (known === null || replicas === null) return null;
      // Not if an autoscaler was faster.
      const body = { metadata: { resourceVersion: known.metadata.resourceVersion }, spec: { replicas } };
      const options = { type: 'merge', manager: managedBy } as const;
      const scaled = isLive ? await unlessConflict(api.patch(refs.deployment, body, options)) : null;
      if (scaled !== null) return scaled;
      known = await api.get(refs.deployment);
      isLive = true;
    }
    // It changes all the time: each change brings a pass, which looks again.
    return null;
  }

  async function applyRoute(access: ExamSession['spec']['access']): Promise<void> {
    const kind = routeOf(access);
    const { host, gateway } = access;
    if (kind !== 'Ingress') await applied.absent(refs.ingress);
    if (kind !== 'HTTPRoute') await applied.absent(refs.httpRoute);
    await faults.attempt('Ingress', async () => {
      if (kind === 'Ingress') await ensure(ingress(part, { ...access, host: host! }));
    });
    await faults.attempt('HTTPRoute', async () => {
      if (kind === 'HTTPRoute') await ensure(httpRoute(part, { ...access, host: host!, gateway: gateway! }));
    });
  }

  /** Removes configurations that no pod has, once no pod of an older one can be made any more. */
  async function sweep(deployment: DeploymentObject): Promise<void> {
    const pods = cache.pods('gateway') as readonly (KubeObject & V1PodTemplateSpec)[];
    const used = new Set([deployment.spec?.template, ...pods].map(configOf));
    // A cache that lags shows what was before.
    if (!isRolledOut(deployment) || !used.has(configOfNext)) return;
    for (const { metadata } of await configMaps()) if (!used.has(metadata.name)) await removeConfigMap(metadata);
    // Those of pods that are just ending go later.
    sweepDue = used.size > 1;
  }

  async function configMaps(): Promise<KubeObject[]> {
    const labelSelector = Object.entries(selectorOf(ref, 'gateway'))
      .map(([name, value]) => `${name}=${value}`)
      .join(',');
    return (await api.list({ ...kinds.configMap, namespace: ref.namespace, labelSelector })).items;
  }

  async function removeConfigMap({ name, uid }: KubeObject['metadata']): Promise<void> {
    await api.remove({ ...kinds.configMap, namespace: ref.namespace, name }, uid === undefined ? {} : { uid });
  }

  async function stop(): Promise<void> {
    faults.clear();
    if (!made && cache.deployment() === null) return;
    made = true;
    await removeAll((object) => applied.absent(object));
    made = false;
  }

  async function removeAll(absent: (object: ObjectRef) => Promise<unknown>): Promise<void> {
    for (const object of [refs.httpRoute, refs.ingress, refs.autoscaler, refs.budget, refs.service])
      await absent(object);
    for (const { metadata } of await configMaps()) await removeConfigMap(metadata);
    await absent(refs.account);
    await absent(refs.deployment);
  }

  function observe(): GatewayObserved[] {
    const time = now();
    const pods = (cache.pods('gateway') as readonly PodView[]).filter((pod) => !isOver(pod, time));
    const observed = pods.map((pod) => ({
      id: pod.metadata.name,
      mode: modeOf(pod),
      ready: isReady(pod),
      fault: podFault(pod, { what: 'gateway', field: 'spec.gateway' }, time),
    }));
    const refused = podsRefused(cache.deployment());
    const others = [...faults.all, ...(refused === null ? [] : [['Deployment', refused] as const])];
    return [...observed, ...others.map(([id, fault]) => ({ id, mode: 'serve' as const, ready: false, fault }))];
  }

  return {
    apply,
    observe,
    url: () => (observe().some(({ ready }) => ready) ? urlOf(ref, session().spec.access, settings) : null),
    async remove() {
      faults.clear();
      await removeAll((object) => api.remove(object));
    },
  };
}

type DeploymentObject = KubeObject & Omit<V1Deployment, 'metadata' | 'apiVersion' | 'kind'>;

const scaleTries = 3;

const kinds = {
  configMap: { apiVersion: 'v1', kind: 'ConfigMap' },
  account: { apiVersion: 'v1', kind: 'ServiceAccount' },
  service: { apiVersion: 'v1', kind: 'Service' },
  deployment: { apiVersion: 'apps/v1', kind: 'Deployment' },
  budget: { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget' },
  autoscaler: { apiVersion: 'autoscaling/v2', kind: 'HorizontalPodAutoscaler' },
  ingress: { apiVersion: 'networking.k8s.io/v1', kind: 'Ingress' },
  httpRoute: { apiVersion: 'gateway.networking.k8s.io/v1', kind: 'HTTPRoute' },
} as const;

function refsOf(ref: SessionRef) {
  const at = { namespace: ref.namespace, name: objectNames(ref).gateway };
  const { configMap: _, ...one } = kinds;
  return Object.fromEntries(Object.entries(one).map(([what, kind]) => [what, { ...kind, ...at }])) as {
    readonly [K in keyof typeof one]: ObjectRef;
  };
}

function replicasOf(deployment: KubeObject): number {
  return (deployment as DeploymentObject).spec?.replicas ?? 1;
}

/** All its pods are of its newest template, and those before are gone. */
function isRolledOut({ metadata, spec, status }: DeploymentObject): boolean {
  const replicas = spec?.replicas ?? 1;
  if ((status?.observedGeneration ?? 0) < (metadata.generation ?? 0)) return false;
  return (status?.updatedReplicas ?? 0) === replicas && (status?.replicas ?? 0) === replicas;
}

/** Null when somebody changed the object meanwhile. */
async function unlessConflict<T>(write: Promise<T>): Promise<T | null> {
  try {
    return await write;
  } catch (error) {
    if (isProblem(error) && error.code === 'api_conflict') return null;
    throw error;
  }
}

function modeOf({ metadata }: KubeObject): GatewayMode {
  const label = metadata.labels?.[modeLabel];
  return gatewayModes.find((mode) => mode === label) ?? 'serve';
}
