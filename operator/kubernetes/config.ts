import { readFileSync } from 'node:fs';
import * as z from 'zod';
import { messageOf } from '#queue/configfile.ts';
import { problem } from '#queue/problem.ts';
import { explainFields } from '../fielderrors.ts';
import { parseYaml } from '../yamltext.ts';
import { kubernetesSettings } from './clustersettings.ts';

/** Every default of the operator's configuration. Left out: the images and the operator's own namespace. */
export const configDefaults = {
  pullPolicy: 'IfNotPresent',
  clusterDomain: 'cluster.local',
  networkPolicies: true,
  podLabels: { 'app.kubernetes.io/name': 'untradex-operator' },
  leaderElection: { name: 'untradex-operator', leaseSeconds: 15 },
  opsPort: 9090,
  adminPort: 8443,
  workers: 4,
  requestsPerSecond: 200,
  verifiedLingerSeconds: kubernetesSettings.verifiedLingerSeconds,
  logLevel: 'info',
} as const satisfies Record<string, unknown>;

const name = z.string().regex(/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/);
const image = (whose: string) => z.string().min(1).max(512).describe(`The image of ${whose}.`);
const port = (preset: number) => z.int().min(0).max(65_535).default(preset);
const file = z.string().min(1).max(4_096).nullable().default(null);

export const operatorConfigSchema = z.strictObject({
  watchNamespaces: z.array(name.describe('A namespace.')).max(1_000).default([]).describe('Empty: all namespaces.'),
  images: z
    .strictObject({
      untradex: image('gateways and exporters'),
      redis: image('the shards'),
      pullPolicy: z.enum(['IfNotPresent', 'Always', 'Never']).default(configDefaults.pullPolicy),
      pullSecrets: z.array(name.describe('A Secret in the namespaces of sessions.')).max(100).default([]),
    })
    .describe('What sessions run. Those that run already keep the images that they began with.'),
  clusterDomain: name.default(configDefaults.clusterDomain).describe("The cluster's domain."),
  storageClass: name.nullable().default(null).describe("Class of volumes; null: the cluster's default."),
  networkPolicies: z.boolean().default(configDefaults.networkPolicies),
  monitoringNamespaces: z.array(name.describe('A namespace.')).max(100).default([]),
  operator: z.strictObject({
    namespace: name.describe('The namespace of the operator and of its Lease.'),
    podLabels: z.record(z.string(), z.string()).default(configDefaults.podLabels),
  }),
  leaderElection: z
    .strictObject({
      name: name.default(configDefaults.leaderElection.name).describe('The name of the Lease.'),
      leaseSeconds: z.int().min(3).max(300).default(configDefaults.leaderElection.leaseSeconds),
    })
    .prefault({}),
  ops: z
    .strictObject({ port: port(configDefaults.opsPort).describe('Port of /livez, /readyz and /metrics; 0: any.') })
    .prefault({}),
  admin: z
    .strictObject({
      enabled: z.boolean().default(false),
      port: port(configDefaults.adminPort),
      tls: z.strictObject({ certFile: file, keyFile: file }).prefault({}),
    })
    .prefault({}),
  workers: z.int().min(1).max(64).default(configDefaults.workers).describe('Sessions that are worked on at a time.'),
  requestsPerSecond: z.int().min(10).max(10_000).default(configDefaults.requestsPerSecond),
  verifiedLingerSeconds: z
    .int()
    .min(0)
    .max(86_400)
    .default(configDefaults.verifiedLingerSeconds)
    .describe("How long a gateway stays after the export was verified, so that students' devices learn it."),
  logLevel: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal']).default(configDefaults.logLevel),
});

/** How the operator was set up: for all sessions, and for itself. */
export type OperatorConfig = z.output<typeof operatorConfigSchema>;

/** The smallest one. */
export const exampleConfig = `images: {untradex: registry.example/untradex:1.0.0, redis: redis:7.4}
operator: {namespace: untradex-system}
`;

/**
 * Reads the configuration from YAML (or JSON).
 * @throws Problem `config_invalid`, whose message lists every wrong field, one a line
 */
export function readOperatorConfig(text: string): OperatorConfig {
  const { value, lineOf, errors } = parseYaml(text);
  const parsed = errors.length === 0 ? operatorConfigSchema.safeParse(value) : null;
  const faults = [...errors, ...explainFields(operatorConfigSchema, parsed?.error?.issues ?? [], value, lineOf)];
  const config = parsed?.data;
  if (config?.admin.enabled === true) faults.push(...missingTls(config.admin.tls));
  if (config !== undefined && faults.length === 0) return config;
  throw invalid("this is not a valid operator's configuration", faults);
}

function missingTls(tls: OperatorConfig['admin']['tls']): string[] {
  const missing = (['certFile', 'keyFile'] as const).filter((field) => tls[field] === null);
  return missing.map((field) => `admin.tls.${field}: is missing; the admin API speaks TLS only`);
}

/** @throws Problem `config_invalid` */
export function readOperatorConfigFile(path: string): OperatorConfig {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw invalid(`the configuration ${path} cannot be read`, [messageOf(error)]);
  }
  return readOperatorConfig(text);
}

function invalid(what: string, faults: readonly string[]) {
  const list = faults.map((fault) => `  ${fault}`).join('\n');
  return problem('config_invalid', `${what}:\n${list}`, 'mend what is named; --help shows the smallest one');
}
