import type { Logger } from 'pino';
import type { ExamSession } from '../examsession.ts';
import { type AttemptOutcome, begun } from '../exportend.ts';
import { faultOf } from '../fault.ts';
import type { AttemptPlan } from '../plan.ts';
import type { AttemptObserved } from '../platform.ts';
import { numberOf } from '../quantity.ts';
import type { Roster } from '../roster.ts';
import { type AttemptRecord, attemptSelector, createAttemptRecords, isOneOf, unlessThere } from './attemptrecords.ts';
import { type AttemptSeen, isFinished, type JobView, judgeAttempt, progressOf, type Verdict } from './attemptstate.ts';
import { type ClusterSettings, ports } from './clustersettings.ts';
import { attemptData } from './exporterconfig.ts';
import { managedBy, objectNames, type SessionRef } from './names.ts';
import { askProgress } from './podprogress.ts';
import type { PodView } from './podview.ts';
import { exportClaim } from './resources/exportclaim.ts';
import { exporterAccount } from './resources/exporteraccount.ts';
import { type ExporterJobInput, loadJob, publishJob } from './resources/exporterjob.ts';
import type { Api, KubeObject } from './runtime/api.ts';

/**
 * The attempts to export, on a cluster: a Job with a pod a shard, then a Job with one publisher.
 *
 *     (ConfigMap made) ─▶ load Job ─every pod done─▶ publish Job ─its result is the sealed root─▶ (outcome) succeeded
 *                          └──────────── any pod that does not succeed ─────────────┴─▶ (outcome) failed or blocked
 *
 * An attempt begins with its ConfigMap, in which all of it is frozen: its plan, what the exporter is told, what its
 * pods are made from. It is over when that has an outcome. In between its Jobs say where it is, and each step is made
 * under a name that follows from the attempt's number: an operator that was killed anywhere goes on by looking, and
 * two operators make the same. What an attempt did that has no result is doubtful, so it has failed, and the next one
 * begins with staging of its own; the table's control row tells it when the rows are there already.
 *
 * One pod that fails ends its Job, which ends the other pods; the attempt counts as over when they have, or when they
 * had their time. A pod that still works then does no harm. A pod that cannot begin is waited for, and its reason
 * told; when the session is edited meanwhile, its attempt ends blocked, so that the next one is made by the edit.
 *
 * Everything is read from the API server, nothing from a cache: what a cache does not know yet looks as if it was lost.
 */
export interface ClusterAttempts {
  /** Begins the attempt, or takes the one that is under way a step on. Null: there is nothing to export. */
  apply(attempt: AttemptPlan | null): Promise<void>;
  /** The latest attempt. While it runs `fault` says what holds it up. Asks pods for their progress, for half a second. */
  observe(): Promise<AttemptObserved | null>;
  /** Ends what is under way; the attempt is left without an outcome. */
  remove(): Promise<void>;
}

export interface ClusterAttemptsParts {
  readonly api: Api;
  readonly ref: SessionRef;
  readonly owner: KubeObject;
  readonly settings: ClusterSettings;
  readonly session: () => ExamSession;
  readonly roster: () => Roster;
  readonly identity: {
    readonly value: {
      readonly shards: readonly { readonly shard: number; readonly incarnation: string }[];
      readonly receiptPublicKey: string;
    };
  };
  readonly log: Pick<Logger, 'info' | 'warn'>;
  /** ms since 1970. */
  readonly now?: () => number;
  /** Where an exporter tells its progress. */
  readonly opsPort?: number;
}

/** The latest attempts of which ConfigMap and Jobs are kept, for whoever wants to know what went wrong. */
const keptAttempts = 5;

export function createClusterAttempts(parts: ClusterAttemptsParts): ClusterAttempts {
  const { api, ref, owner, settings, log, now = Date.now, opsPort = ports.ops } = parts;
  const part = { ref, owner };
  const records = createAttemptRecords(api, part);
  const names = objectNames(ref);
  const inNamespace = { namespace: ref.namespace };
  /** As this operator knows it: what is over stays as it is, and nobody else makes a new one unnoticed. */
  let latest: AttemptRecord | null = null;
  let numbers: readonly number[] = [];
  let looked = false;
  /** Of the latest attempt, if it is over: nothing of it works any more. */
  let quiet = false;

  async function find(): Promise<void> {
    ({ latest, numbers } = await records.find());
    looked = true;
    quiet = false;
  }

  async function refresh(): Promise<void> {
    if (looked && (latest === null || latest.outcome !== null)) return;
    const record = latest === null ? null : await records.read(latest.number);
    if (record === null) await find();
    else latest = record;
  }

  /** Jobs before pods: a Job that has ended is seen with how its pods ended. */
  async function look({ number }: AttemptRecord): Promise<AttemptSeen> {
    const [load, publish] = await Promise.all([jobOf(names.loadJob(number)), jobOf(names.publishJob(number))]);
    if (load === null && publish === null) return { load, publish, pods: [] };
    const pods = await api.list({ ...kinds.pod, ...inNamespace, labelSelector: attemptSelector(ref, number) });
    return { load, publish, pods: pods.items as PodView[] };
  }

  async function jobOf(name: string): Promise<JobView | null> {
    return (await api.get({ ...kinds.job, ...inNamespace, name })) as JobView | null;
  }

  async function begin(plan: AttemptPlan): Promise<void> {
    await stopLatest();
    const { value } = parts.identity;
    const { data, rosterLeftOut } = attemptData({
      ...{ ref, settings, spec: parts.session().spec, attempt: plan, roster: parts.roster() },
      ...{ shards: value.shards, receiptPublicKey: value.receiptPublicKey },
    });
    if (rosterLeftOut) {
      log.warn(
        { students: parts.roster().size },
        'the roster is too large for the report: it will name nobody as absent',
      );
    }
    const made = await records.create(plan, data);
    if (made === null) return find();
    latest = made;
    numbers = [plan.attempt, ...numbers];
    quiet = false;
    log.info({ attempt: plan.attempt }, 'an attempt to export begins');
    await start(made, loadJob);
  }

  /** Makes a Job and what its pods need. What the cluster refuses for good, a person must mend. */
  async function start(record: AttemptRecord, jobFor: (input: ExporterJobInput) => KubeObject): Promise<void> {
    const { number, pods } = record;
    try {
      await api.apply(exporterAccount(part), { manager: managedBy });
      await ensureClaim(pods.claim);
      await unlessThere(api.create(jobFor({ ...part, settings, attempt: number, pods })));
    } catch (error) {
      if (!isOneOf(error, ['api_invalid', 'api_forbidden'])) throw error;
      await finish(record, { state: 'blocked', fault: faultOf(error), result: null });
    }
  }

  async function ensureClaim(wanted: AttemptRecord['pods']['claim']): Promise<void> {
    const claim = exportClaim(ref, wanted);
    const live = await api.get({ ...kinds.claim, ...inNamespace, name: names.exportClaim });
    if (live === null) {
      await unlessThere(api.create(claim));
      return;
    }
    const has = (live.spec as { resources?: { requests?: { storage?: string } } }).resources?.requests?.storage ?? '0';
    if ((numberOf(wanted.storage) ?? 0) <= (numberOf(has) ?? 0)) return;
    const larger = { spec: { resources: { requests: { storage: wanted.storage } } } };
    try {
      await api.patch({ ...kinds.claim, ...inNamespace, name: names.exportClaim }, larger, { type: 'merge' });
    } catch (error) {
      if (!isOneOf(error, ['api_invalid', 'api_forbidden'])) throw error;
      // It may be large enough: the export itself tells when it is not.
      log.warn({ err: error }, `the claim ${names.exportClaim} stays at ${has}: its storage class lets none grow`);
    }
  }

  async function step(record: AttemptRecord, plan: AttemptPlan): Promise<void> {
    const verdict = judgeAttempt(record.plan, await look(record), now());
    if (verdict.next === 'load') return start(record, loadJob);
    if (verdict.next === 'publish') return start(record, publishJob);
    if (verdict.next === 'over') return finish(record, verdict);
    if (verdict.next === 'wait' && isOvertaken(verdict, record, plan)) await finish(record, overtaken(verdict));
  }

  async function finish(record: AttemptRecord, end: Omit<AttemptOutcome, 'endedAt'>): Promise<void> {
    const { state, fault, result } = end;
    const finished = await records.finish(record, { state, endedAt: now(), fault, result });
    if (finished === null) return find();
    latest = finished;
    log.info({ attempt: record.number, state: finished.outcome?.state, fault }, 'an attempt to export is over');
  }

  /** Nothing of an attempt that is over, or is to be left alone, goes on. What has ended stays to be looked at. */
  async function stopLatest(): Promise<void> {
    if (latest === null || quiet) return;
    for (const name of [names.loadJob(latest.number), names.publishJob(latest.number)]) {
      const job = await jobOf(name);
      if (job === null || isFinished(job)) continue;
      await api.remove({ ...kinds.job, ...inNamespace, name }, { uid: job.metadata.uid!, propagation: 'Background' });
    }
    quiet = latest.outcome !== null;
  }

  /** The ConfigMap last: as long as it is there, its Jobs are found. */
  async function prune(): Promise<void> {
    for (const number of numbers.slice(keptAttempts)) {
      for (const name of [names.loadJob(number), names.publishJob(number)]) {
        await api.remove({ ...kinds.job, ...inNamespace, name }, { propagation: 'Background' });
      }
      await records.remove(number);
    }
    numbers = numbers.slice(0, keptAttempts);
  }

  return {
    async apply(plan) {
      if (plan === null) return;
      await refresh();
      if (latest !== null && latest.outcome === null) await step(latest, plan);
      else if (plan.attempt > (latest?.number ?? 0)) await begin(plan);
      if (latest?.outcome != null) await stopLatest();
      await prune();
    },
    async observe() {
      await refresh();
      if (latest === null) return null;
      if (latest.outcome !== null) return ended(latest, latest.outcome);
      const seen = await look(latest);
      const verdict = judgeAttempt(latest.plan, seen, now());
      const progress = progressOf(latest.plan, seen, await askProgress(seen.pods, opsPort));
      return { ...progress, fault: verdict.next === 'wait' ? verdict.fault : null };
    },
    async remove() {
      if (!looked) await find();
      await stopLatest();
    },
  };
}

const kinds = {
  job: { apiVersion: 'batch/v1', kind: 'Job' },
  pod: { apiVersion: 'v1', kind: 'Pod' },
  claim: { apiVersion: 'v1', kind: 'PersistentVolumeClaim' },
} as const;

function ended({ plan }: AttemptRecord, outcome: AttemptOutcome): AttemptObserved {
  return { ...begun(plan), ...(outcome.state === 'succeeded' && { step: 'verify' }), ...outcome };
}

type Waiting = Extract<Verdict, { next: 'wait' }>;

/** What it waits for may never come, and the session has been edited since. */
function isOvertaken({ fault, begun }: Waiting, { plan }: AttemptRecord, wanted: AttemptPlan): boolean {
  return fault !== null && !begun && wanted.generation > plan.generation;
}

function overtaken({ fault }: Waiting): Omit<AttemptOutcome, 'endedAt'> {
  const message = `${fault!.message}; the session was edited meanwhile`;
  return { state: 'blocked', fault: { ...fault!, message }, result: null };
}
