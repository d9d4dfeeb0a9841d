import { paths } from '#operator/kubernetes/clustersettings.ts';
import { objectNames } from '#operator/kubernetes/names.ts';
import { problem } from '#queue/problem.ts';
import { openLedgerText } from '../ledger.ts';
import { note } from '../output.ts';
import type { RehearsalResult } from '../rehearsal.ts';
import { notARehearsal } from '../rehearsaltarget.ts';
import type { ClusterPlace } from './clusterplace.ts';
import { runTool } from './runtool.ts';
import { identityOf } from './sessionfacts.ts';

export interface RehearseJobOptions {
  readonly students: number | undefined;
  readonly seconds: number;
  readonly events: number;
  readonly seed: number;
  /** Where students connect; left out: the Service, within the cluster. */
  readonly url: string | undefined;
  readonly ledger: string | undefined;
  readonly signal: AbortSignal;
}

const tokenKey = 'token.key';

/**
 * Plays the students in a pod of the cluster: where they are near, and where their many connections are not bent
 * through one laptop. What they saw acknowledged comes here line by line while they play.
 * @throws Problem `ledger_incomplete` when lines of it were lost on the way
 */
export async function rehearseInCluster(place: ClusterPlace, options: RehearseJobOptions): Promise<RehearsalResult> {
  const { session, api, ref } = place;
  if (!session.spec.rehearsal) throw notARehearsal(ref.name);
  const tool = {
    ...{ what: 'rehearse', memory: memoryOf(options.students ?? session.spec.students) },
    image: (await identityOf(api, ref)).images.untradex,
    args: argumentsOf(ref.name, options),
    files: { 'target.json': JSON.stringify(await targetOf(place)) },
    mounts: [tokenMount(place)],
    withinSeconds: options.seconds * 2 + 600,
  };
  const ledger = options.ledger === undefined ? null : openLedgerText(options.ledger);
  let result: RehearsalResult | null = null;
  const onLine = (line: string) => {
    if (line.startsWith('{"student":')) ledger?.append(line);
    else if (line.startsWith('{')) result = JSON.parse(line) as RehearsalResult;
    else note(line);
  };
  try {
    await runTool(place, tool, options.signal, onLine);
  } finally {
    ledger?.close();
  }
  return complete(result, ledger?.entries ?? null, options.ledger);
}

function argumentsOf(name: string, options: RehearseJobOptions): string[] {
  const { students, seconds, events, seed, url, ledger } = options;
  return [
    ...['rehearse', name, '--json', '--target', `${paths.config}/target.json`],
    ...['--seconds', `${seconds}`, '--events', `${events}`, '--seed', `${seed}`],
    ...(students === undefined ? [] : ['--students', `${students}`]),
    ...(url === undefined ? [] : ['--url', url]),
    ...(ledger === undefined ? [] : ['--ledger', '-']),
  ];
}

async function targetOf({ session, ref, readStatus }: ClusterPlace): Promise<object> {
  const status = await readStatus();
  if (status?.phase !== 'Active') {
    const message = `${ref.name} does not take answers: it is ${status?.phase ?? 'new'}`;
    throw problem('not_active', message, `wait for it: kubectl wait --for=condition=Ready exam/${ref.name}`);
  }
  const { auth, rehearsal, students } = session.spec;
  return {
    name: ref.name,
    rehearsal,
    // Short, so that the pod's own search list completes it, whatever the cluster calls its domain.
    url: `http://${objectNames(ref).gateway}.${ref.namespace}.svc/exam`,
    students,
    audience: auth.audience ?? ref.name,
    issuer: auth.issuer ?? null,
    tokenKeyFile: `${paths.keys}/${tokenKey}`,
    receiptPublicKey: status.receiptPublicKey,
  };
}

/** The key alone, of the Secret that the gateways have it from. */
function tokenMount({ session, ref }: ClusterPlace) {
  const { jwksUrl, secretRef } = session.spec.auth;
  if (jwksUrl !== undefined) {
    const message = `the session believes tokens of ${jwksUrl}, which cannot be made here`;
    throw problem('no_signing_key', message, 'rehearse with a session without spec.auth.jwksUrl');
  }
  const { name, key } = secretRef ?? { name: objectNames(ref).secrets.gateway, key: tokenKey };
  const volume = { secret: { secretName: name, defaultMode: 0o440, items: [{ key, path: tokenKey }] } };
  return { path: paths.keys, volume, readOnly: true };
}

/** A student takes some 100 KiB in the playing process: sockets, outbox, histogram. */
function memoryOf(students: number): string {
  return `${256 + Math.ceil(students / 8)}Mi`;
}

function complete(result: RehearsalResult | null, entries: number | null, ledger: string | undefined): RehearsalResult {
  if (result === null) {
    throw problem('rehearsal_failed', 'the rehearsal ended without a result', 'see the lines above, then try again');
  }
  if (entries === null) return result;
  if (entries < result.acknowledged) {
    const message = `${ledger} has ${entries} of ${result.acknowledged} acknowledged answers: the log was cut on its way`;
    throw problem('ledger_incomplete', message, 'rehearse again, with fewer answers or closer to the cluster');
  }
  return { ...result, ledger: ledger ?? null };
}
