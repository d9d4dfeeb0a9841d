import { isProblem, problem } from '#queue/problem.ts';
import type { AttemptOutcome } from '../exportend.ts';
import type { AttemptPlan } from '../plan.ts';
import { type ExporterPods, exporterFiles } from './exporterconfig.ts';
import { labelNames, objectNames, type SessionRef, selectorOf } from './names.ts';
import { attemptMetadata } from './resources/exporterjob.ts';
import type { Part } from './resources/part.ts';
import type { Api, KubeObject } from './runtime/api.ts';

/**
 * The attempts of a session as the cluster keeps them: a ConfigMap each. It is created once, which makes the attempt,
 * and gets an outcome once, which ends it; nothing else of it ever changes. Always read from etcd, never from a cache.
 */
export interface AttemptRecord {
  readonly number: number;
  readonly plan: AttemptPlan;
  readonly pods: ExporterPods;
  readonly outcome: AttemptOutcome | null;
  readonly resourceVersion: string;
}

export interface AttemptRecords {
  /** The latest attempt, and the numbers of all that there are, the latest first. */
  find(): Promise<{ latest: AttemptRecord | null; numbers: readonly number[] }>;
  /** Null when it is gone. */
  read(attempt: number): Promise<AttemptRecord | null>;
  /** Null when somebody else made an attempt of this number before. */
  create(plan: AttemptPlan, data: Record<string, string>): Promise<AttemptRecord | null>;
  /** Ends the attempt, unless it is over already; gives it as it is then. Null when it is gone. */
  finish(record: AttemptRecord, outcome: AttemptOutcome): Promise<AttemptRecord | null>;
  remove(attempt: number): Promise<void>;
}

const mostFinishTries = 5;

export function createAttemptRecords(api: Api, part: Part): AttemptRecords {
  const { ref } = part;
  const refOf = (attempt: number) => ({
    ...configMap,
    namespace: ref.namespace,
    name: objectNames(ref).attempt(attempt),
  });

  async function read(attempt: number): Promise<AttemptRecord | null> {
    const object = await api.get(refOf(attempt));
    return object === null ? null : recordOf(object);
  }

  return {
    async find() {
      const { items } = await api.list({ ...configMap, namespace: ref.namespace, labelSelector: attemptSelector(ref) });
      const numbers = items.map(numberOf).sort((a, b) => b - a);
      const latest = items.find((item) => numberOf(item) === numbers[0]);
      return { latest: latest === undefined ? null : recordOf(latest), numbers };
    },
    read,
    async create(plan, data) {
      const metadata = attemptMetadata(part, plan.attempt, refOf(plan.attempt).name);
      const object = await unlessThere(api.create({ ...configMap, metadata, data }));
      return object === null ? null : recordOf(object);
    },
    async finish(record, outcome) {
      let now: AttemptRecord | null = record;
      for (let tries = 1; now !== null && now.outcome === null; tries++) {
        const { number, resourceVersion } = now;
        const body = { metadata: { resourceVersion }, data: { [exporterFiles.outcome]: JSON.stringify(outcome) } };
        try {
          return recordOf(await api.patch(refOf(number), body, { type: 'merge' }));
        } catch (error) {
          // Somebody else wrote, another operator perhaps: what is there now decides.
          if (tries === mostFinishTries || !isOneOf(error, ['api_conflict', 'api_not_found'])) throw error;
          now = await read(number);
        }
      }
      return now;
    },
    async remove(attempt) {
      await api.remove(refOf(attempt));
    },
  };
}

const configMap = { apiVersion: 'v1', kind: 'ConfigMap' } as const;

/** ConfigMaps of all attempts; with a number, what belongs to that one. */
export function attemptSelector(ref: SessionRef, attempt?: number): string {
  const own = Object.entries(selectorOf(ref, 'exporter')).map(([name, value]) => `${name}=${value}`);
  return [...own, attempt === undefined ? labelNames.attempt : `${labelNames.attempt}=${attempt}`].join(',');
}

/** What `creation` gives, or null when there is one of this name already. */
export async function unlessThere(creation: Promise<KubeObject>): Promise<KubeObject | null> {
  try {
    return await creation;
  } catch (error) {
    if (isOneOf(error, ['api_exists'])) return null;
    throw error;
  }
}

export function isOneOf(error: unknown, codes: readonly string[]): boolean {
  return isProblem(error) && codes.includes(error.code);
}

function numberOf({ metadata }: KubeObject): number {
  return Number(metadata.labels?.[labelNames.attempt]);
}

function recordOf(object: KubeObject): AttemptRecord {
  const data = object.data as Record<string, string>;
  return {
    number: numberOf(object),
    plan: jsonOf(object, data[exporterFiles.attempt]),
    pods: jsonOf(object, data[exporterFiles.pods]),
    outcome: data[exporterFiles.outcome] === undefined ? null : jsonOf(object, data[exporterFiles.outcome]),
    resourceVersion: object.metadata.resourceVersion!,
  };
}

function jsonOf<T>({ metadata: { name, namespace } }: KubeObject, text: string | undefined): T {
  try {
    return JSON.parse(text ?? '') as T;
  } catch (cause) {
    throw problem(
      'attempt_unreadable',
      `the ConfigMap ${name} does not hold what the operator wrote`,
      `Somebody changed it. Delete it (kubectl delete configmap -n ${namespace} ${name}): the export begins anew, and finds out by the table what was done.`,
      { cause },
    );
  }
}
