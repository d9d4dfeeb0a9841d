import type { V1PodTemplateSpec } from '@kubernetes/client-node';
import type { Logger } from 'pino';
import { isProblem } from '#queue/problem.ts';
import type { ExamSession } from '../examsession.ts';
import type { DesiredGateways } from '../plan.ts';
import { type GatewayMode, type GatewayObserved, gatewayModes } from '../platform.ts';
import { provisionAt } from '../stage.ts';
import { routeOf, urlOf } from './access.ts';
import { createApplied } from './applied.ts';
import type { ClusterSettings } from './clustersettings.ts';
import { type DeploymentView, isRolledOut, replicasOf } from './deploymentview.ts';
import { gatewayConfig, gatewayInputs } from './gatewayconfig.ts';
import { removeConfigMaps } from './gatewayconfigmaps.ts';
import { createGatewayFaults, podsRefused } from './gatewayfaults.ts';
import { scaleInto } from './gatewayscale.ts';
import { type Component, managedBy, objectNames, type SessionRef } from './names.ts';
import { podFault } from './podfault.ts';
import { isOver, isReady, type PodView } from './podview.ts';
import { autoscaler, type ReplicaRange, replicaRange } from './resources/autoscaler.ts';
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
    await applyRoutes(spec.access);
  }

  /** Redis, gateways and exporters: before the first of them runs, and not for sessions that only wait or are over. */
  function isUnderWay({ replicas }: DesiredGateways): boolean {
    const shards = cache.statefulSet();
    return replicas > 0 || (shards === null ? provisionAt(session()) <= now() : replicasOf(shards) > 0);
  }

  async function applyPolicies(): Promise<void> {
    await faults.attempt('NetworkPolicy', async () => {
      for (const build of [redisPolicy, gatewayPolicy, exporterPolicy]) await ensure(build(part, settings));
    });
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
      configOfNext = configOf((fresh as DeploymentView).spec?.template);
      sweepDue = true;
    } else if (cached !== null && configOf((cached as DeploymentView).spec?.template) === configMap.metadata.name) {
      await ensure(configMap);
    }
    const known = { deployment: fresh ?? cached, isLive: fresh !== null };
    const scaled = await scaleInto(range, api, refs.deployment, known);
    if (scaled !== null) applied.keep(built, scaled);
    if (fresh === null && cached !== null && sweepDue) await sweep(cached as DeploymentView);
  }

  async function applyRoutes(access: ExamSession['spec']['access']): Promise<void> {
    const wanted = routeOf(access);
    const { host, gateway } = access;
    if (wanted !== 'Ingress') await unlessForbidden(applied.absent(refs.ingress));
    if (wanted !== 'HTTPRoute') await unlessForbidden(applied.absent(refs.httpRoute));
    await faults.attempt('Ingress', async () => {
      if (wanted === 'Ingress') await ensure(ingress(part, { ...access, host: host! }));
    });
    await faults.attempt('HTTPRoute', async () => {
      if (wanted === 'HTTPRoute') await ensure(httpRoute(part, { ...access, host: host!, gateway: gateway! }));
    });
  }

  /** Removes configurations that no pod has, once no pod of an older one can be made any more. */
  async function sweep(deployment: DeploymentView): Promise<void> {
    const pods = cache.pods('gateway') as readonly (KubeObject & V1PodTemplateSpec)[];
    const used = new Set([deployment.spec?.template, ...pods].map(configOf));
    // A cache that lags shows what was before.
    if (!isRolledOut(deployment) || !used.has(configOfNext)) return;
    await removeConfigMaps(api, ref, used);
    // Those of pods that are just ending go later.
    sweepDue = used.size > 1;
  }

  async function stop(): Promise<void> {
    faults.clear();
    if (!made && cache.deployment() === null) return;
    made = true;
    await removeAll((object) => applied.absent(object));
    made = false;
  }

  async function removeAll(absent: (object: ObjectRef) => Promise<unknown>): Promise<void> {
    for (const route of [refs.httpRoute, refs.ingress]) await unlessForbidden(absent(route));
    for (const object of [refs.autoscaler, refs.budget, refs.service]) await absent(object);
    await removeConfigMaps(api, ref);
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

const kinds = {
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
  return Object.fromEntries(Object.entries(kinds).map(([what, kind]) => [what, { ...kind, ...at }])) as {
    readonly [K in keyof typeof kinds]: ObjectRef;
  };
}

/** Who may not remove routes of a kind never made one: clusters need not grant what they do not have. */
async function unlessForbidden(removal: Promise<unknown>): Promise<void> {
  try {
    await removal;
  } catch (error) {
    if (!isProblem(error) || error.code !== 'api_forbidden') throw error;
  }
}

function modeOf({ metadata }: KubeObject): GatewayMode {
  const label = metadata.labels?.[modeLabel];
  return gatewayModes.find((mode) => mode === label) ?? 'serve';
}
