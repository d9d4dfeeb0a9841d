import type { V1Container, V1DeploymentSpec, V1PodTemplateSpec } from '@kubernetes/client-node';
import { quantity } from '../../capacity.ts';
import type { ExamSpec } from '../../examsession.ts';
import type { DesiredGateways } from '../../plan.ts';
import { type ClusterSettings, paths, ports } from '../clustersettings.ts';
import { digestOf } from '../digest.ts';
import { drainSeconds, gatewayFiles } from '../gatewayconfig.ts';
import { annotationNames, labelsOf, objectNames, selectorOf } from '../names.ts';
import type { KubeObject } from '../runtime/object.ts';
import { type Part, partMetadata } from './part.ts';
import { podSecurity, restrictedContainer, templateParts } from './pod.ts';

/** On gateways' pods: what they do (serve, answer). */
export const modeLabel = 'untradex.io/mode';

export interface GatewayDeploymentInput extends Part {
  readonly spec: Pick<ExamSpec, 'gateway' | 'auth'>;
  readonly desired: Pick<DesiredGateways, 'mode' | 'memoryBytes' | 'cpu'>;
  /** Name of the ConfigMap. */
  readonly config: string;
  readonly image: string;
  /** Digest of what the session wants, for the next version of the operator. */
  readonly inputs: string;
  readonly settings: ClusterSettings;
}

/**
 * How a gateway ends. It goes on serving for as long as the cluster needs to send newcomers elsewhere, then it drains
 * (see gateway/drain.ts), which ends within the slack of gateway/main.ts or is cut there.
 */
const ending = { withdrawSeconds: 5, slackSeconds: 22 } as const;

/** Share of the container's memory that is JavaScript's heap; the rest is sockets and buffers. */
const heapShare = 0.7;

/**
 * The gateways, but for their number: `spec.replicas` is never applied, so that it can be an autoscaler's from the
 * first moment on, and so that taking the autoscaler away or giving it back never begins at one gateway.
 */
export function gatewayDeployment(input: GatewayDeploymentInput): KubeObject {
  const { ref, inputs, settings } = input;
  const spec: Omit<V1DeploymentSpec, 'replicas'> = {
    selector: { matchLabels: selectorOf(ref, 'gateway') },
    // Never fewer than planned: the next ones are ready before old ones go, a quarter at a time.
    strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: '25%' } },
    minReadySeconds: 2,
    progressDeadlineSeconds: 600,
    revisionHistoryLimit: 1,
    template: template(input),
  };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {
      ...partMetadata(input, 'gateway', objectNames(ref).gateway),
      annotations: { [annotationNames.inputs]: inputs, [annotationNames.madeBy]: makerOf(settings) },
    },
    spec,
  };
}

/** Version of the operator, and which settings of its pods depend on: `1.0.0+1a2b3c4d`. */
function makerOf({ version, images, clusterDomain }: ClusterSettings): string {
  const { pullPolicy, pullSecrets } = images;
  return `${version}+${digestOf({ pullPolicy, pullSecrets, clusterDomain }).slice(0, 8)}`;
}

/**
 * What to apply, given what is there: what another version of the operator, or one with other settings, made for the
 * same wishes keeps its pods.
 * @param live as it was just read; null when there is none
 */
export function keepingPods(built: KubeObject, live: KubeObject | null): KubeObject {
  const { [annotationNames.inputs]: inputs, [annotationNames.madeBy]: version } = built.metadata.annotations ?? {};
  const { [annotationNames.inputs]: liveInputs, [annotationNames.madeBy]: madeBy } = live?.metadata.annotations ?? {};
  if (live === null || madeBy === undefined || madeBy === version || liveInputs !== inputs) return built;
  const { template } = live.spec as V1DeploymentSpec;
  return {
    ...built,
    metadata: { ...built.metadata, annotations: { ...built.metadata.annotations, [annotationNames.madeBy]: madeBy } },
    spec: { ...(built.spec as V1DeploymentSpec), template },
  };
}

function template(input: GatewayDeploymentInput): V1PodTemplateSpec {
  const { ref, spec, desired, settings } = input;
  const parts = templateParts(spec.gateway.pod);
  return {
    metadata: {
      labels: { ...parts.labels, ...labelsOf(ref, 'gateway'), [modeLabel]: desired.mode },
      annotations: parts.annotations,
    },
    spec: {
      ...parts.spec,
      ...podSecurity(settings),
      serviceAccountName: objectNames(ref).gateway,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: ending.withdrawSeconds + drainSeconds + ending.slackSeconds,
      topologySpreadConstraints: ['kubernetes.io/hostname', 'topology.kubernetes.io/zone'].map((topologyKey) => ({
        ...{ maxSkew: 1, topologyKey, whenUnsatisfiable: 'ScheduleAnyway' },
        labelSelector: { matchLabels: selectorOf(ref, 'gateway') },
        matchLabelKeys: ['pod-template-hash'],
      })),
      containers: [container(input)],
      volumes: [
        { name: 'config', configMap: { name: input.config } },
        { name: 'keys', projected: { defaultMode: 0o440, sources: keySources(input) } },
      ],
    },
  };
}

/** Only what a gateway reads; the key of the tokens may be the session's own or somebody else's. */
function keySources({ ref, spec }: GatewayDeploymentInput) {
  const { redisPassword, connectionToken, receipt, token } = gatewayFiles;
  const { secretRef, jwksUrl } = spec.auth;
  const ownsToken = secretRef === undefined && jwksUrl === undefined;
  const own = [redisPassword, connectionToken, receipt, ...(ownsToken ? [token] : [])];
  return [
    { secret: { name: objectNames(ref).secrets.gateway, items: own.map((key) => ({ key, path: key })) } },
    ...(secretRef === undefined
      ? []
      : [{ secret: { name: secretRef.name, items: [{ key: secretRef.key, path: token }] } }]),
  ];
}

function container({ spec, desired, image, settings }: GatewayDeploymentInput): V1Container {
  const { cpu = `${desired.cpu}`, memory = quantity(desired.memoryBytes) } = spec.gateway.resources ?? {};
  return {
    ...restrictedContainer,
    name: 'gateway',
    image,
    imagePullPolicy: settings.images.pullPolicy,
    command: ['node', `--max-old-space-size-percentage=${heapShare * 100}`, paths.gatewayProgram],
    args: ['--config', `${paths.config}/${gatewayFiles.config}`],
    ports: [
      { name: 'http', containerPort: ports.gateway, protocol: 'TCP' },
      { name: 'ops', containerPort: ports.ops, protocol: 'TCP' },
    ],
    resources: { requests: { cpu, memory }, limits: { memory } },
    startupProbe: { ...probe('/live'), periodSeconds: 1, failureThreshold: 60 },
    // Its students are cut off when it is restarted: only when it hangs.
    livenessProbe: { ...probe('/live'), periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 3 },
    readinessProbe: { ...probe('/ready'), periodSeconds: 2, timeoutSeconds: 2, failureThreshold: 2 },
    lifecycle: { preStop: { sleep: { seconds: ending.withdrawSeconds } } },
    // The last lines of the log say why it ended.
    terminationMessagePolicy: 'FallbackToLogsOnError',
    volumeMounts: [
      { name: 'config', mountPath: paths.config, readOnly: true },
      { name: 'keys', mountPath: paths.keys, readOnly: true },
    ],
  };
}

function probe(path: string) {
  return { httpGet: { path, port: 'ops' as never }, timeoutSeconds: 2 };
}

/** Names a pod's configuration changes with. */
export function configOf(template: V1PodTemplateSpec | undefined): string | undefined {
  return template?.spec?.volumes?.find(({ name }) => name === 'config')?.configMap?.name;
}
