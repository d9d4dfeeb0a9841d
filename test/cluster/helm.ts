import { parseAllDocuments } from 'yaml';
import { findKubernetes, variable } from '#setup/findkubernetes.cjs';
import { startProgram } from '#test/support/process.ts';
import { tmpFolder } from '#test/support/tmp.ts';

export const chartFolder = 'charts/untradex';

/** Any object of Kubernetes, as a manifest has it. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  // biome-ignore lint/suspicious/noExplicitAny: of any kind
  readonly [field: string]: any;
}

/** Helm 3.18 or newer: beside the programs that KUBEBUILDER_ASSETS names, on PATH, or built by the set-up. */
function findHelm(): string {
  const found = findKubernetes(process.env, ['helm']);
  if (found !== null) return found.helm;
  throw new Error(`there is no helm: run npm run test:cluster, put it on PATH, or beside the programs of ${variable}`);
}

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs helm with folders of its own, at most a minute. */
export async function helm(...args: string[]): Promise<Ended> {
  const folder = tmpFolder('helm');
  const home = { HELM_CACHE_HOME: folder, HELM_CONFIG_HOME: folder, HELM_DATA_HOME: folder, NO_COLOR: '1' };
  const program = startProgram({ argv: [findHelm(), ...args], env: home });
  const { code } = await program.ended(60_000);
  return { code, stdout: program.stdout, stderr: program.stderr };
}

/** Values as arguments: `{'metrics.podMonitor.enabled': true}`. */
export function settingOf(values: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(values).flatMap(([name, value]) => ['--set-json', `${name}=${JSON.stringify(value)}`]);
}

export const release = 'untradex';
export const releaseNamespace = 'untradex-system';

/** What the chart makes of these values; hooks and tests too. */
export async function render(values: Readonly<Record<string, unknown>> = {}, more: readonly string[] = []) {
  const { code, stdout, stderr } = await helm(
    ...['template', release, chartFolder, '--namespace', releaseNamespace],
    ...[...settingOf(values), ...more],
  );
  if (code !== 0) throw new Error(stderr);
  return manifestsOf(stdout);
}

export function manifestsOf(yaml: string): Manifest[] {
  // As the API server reads it: YAML 1.1.
  return parseAllDocuments(yaml, { version: '1.1' })
    .map((document) => document.toJS() as Manifest | null)
    .filter((manifest) => manifest !== null);
}

export function ofKind(manifests: readonly Manifest[], kind: string): Manifest[] {
  return manifests.filter((manifest) => manifest.kind === kind);
}
