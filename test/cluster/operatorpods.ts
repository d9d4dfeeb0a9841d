import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { parse, stringify } from 'yaml';
import { type Program, startProgram } from '#test/support/process.ts';
import { tmpFolder } from '#test/support/tmp.ts';
import { type Guarded, startGuarded } from './guarded.ts';
import { ofKind, releaseNamespace, render } from './helm.ts';

const account = 'untradex-operator';
const auditedUser = `system:serviceaccount:${releaseNamespace}:${account}`;

/** A request of an operator, as the audit log of the API server has it; times in Unix milliseconds. */
export interface Audited {
  /** Of the pod that its token is bound to. */
  readonly pod: string;
  readonly verb: string;
  readonly uri: string;
  readonly resource: string;
  readonly fromMs: number;
  readonly toMs: number;
}

export interface OperatorPods {
  readonly guarded: Guarded;
  /** Starts an operator with the chart's configuration and account, and a token that is bound to a pod of this name. */
  start(pod: string): Promise<Program>;
  /** What all operators asked for so far, in the order of its end. */
  audited(): readonly Audited[];
}

/** An API server with the chart, whose operators are processes of this machine, each with the identity of a pod. */
export async function operatorPods(set: Readonly<Record<string, unknown>> = {}): Promise<OperatorPods> {
  const folder = tmpFolder('operators');
  const auditFile = join(folder, 'audit.log');
  const policyFile = join(folder, 'policy.yaml');
  const rules = [{ level: 'Metadata', users: [auditedUser], omitStages: ['RequestReceived', 'ResponseStarted'] }];
  writeFileSync(policyFile, stringify({ apiVersion: 'audit.k8s.io/v1', kind: 'Policy', rules }));
  const guarded = await startGuarded(set, {
    extraArgs: [`--audit-log-path=${auditFile}`, `--audit-policy-file=${policyFile}`],
  });
  const config = join(folder, 'operator.yaml');
  const [map] = ofKind(await render(set), 'ConfigMap');
  writeFileSync(config, stringify({ ...parse(map!.data['operator.yaml']), ops: { port: 0 } }));
  return {
    guarded,
    async start(pod) {
      const kubeconfig = join(folder, `${pod}.yaml`);
      writeFileSync(kubeconfig, await kubeconfigOf(guarded, pod), { mode: 0o600 });
      return startProgram({
        argv: [process.execPath, 'operator/main.ts', '--config', config],
        env: { KUBECONFIG: kubeconfig, POD_NAME: pod, POD_NAMESPACE: releaseNamespace },
      });
    },
    audited: () => readAudit(auditFile),
  };
}

/** With a token as the kubelet asks for it: the audit log tells the pod that it is bound to. */
async function kubeconfigOf({ cluster }: Guarded, name: string): Promise<string> {
  const space = `/api/v1/namespaces/${releaseNamespace}`;
  const spec = { serviceAccountName: account, containers: [{ name: 'operator', image: 'untradex:test' }] };
  const made = await cluster.call('POST', `${space}/pods`, { body: { metadata: { name }, spec } });
  expect(made, String(made.body.message)).toMatchObject({ status: 201 });
  const { uid } = made.body.metadata as { uid: string };
  const boundObjectRef = { apiVersion: 'v1', kind: 'Pod', name, uid };
  const body = { spec: { audiences: [], boundObjectRef } };
  const asked = await cluster.call('POST', `${space}/serviceaccounts/${account}/token`, { body });
  expect(asked, String(asked.body.message)).toMatchObject({ status: 201 });
  const kubeconfig = parse(readFileSync(cluster.kubeconfig, 'utf8'));
  kubeconfig.users[0].user = { token: (asked.body.status as { token: string }).token };
  return stringify(kubeconfig);
}

/** The last line may still be written. */
function readAudit(file: string): Audited[] {
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => {
    const { user, verb, requestURI, objectRef, requestReceivedTimestamp, stageTimestamp } = JSON.parse(line);
    return {
      pod: user.extra['authentication.kubernetes.io/pod-name'][0],
      ...{ verb, uri: requestURI, resource: objectRef?.resource ?? '' },
      ...{ fromMs: Date.parse(requestReceivedTimestamp), toMs: Date.parse(stageTimestamp) },
    };
  });
}
