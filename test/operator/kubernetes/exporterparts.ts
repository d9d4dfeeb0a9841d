import fc from 'fast-check';
import type { ExamSpec } from '#operator/examsession.ts';
import type { ExporterInput } from '#operator/kubernetes/exporterconfig.ts';
import type { SessionRef } from '#operator/kubernetes/names.ts';
import type { PodParts } from '#operator/kubernetes/resources/pod.ts';
import type { AttemptPlan } from '#operator/plan.ts';
import type { Roster } from '#operator/roster.ts';
import { refOf, sessionOf, settings } from './gatewayparts.ts';

/** Parts of an attempt to export, for tests. */

export const eventsPerShard = 100;

export function attemptPlan(
  change: { shards?: number; rehearsal?: boolean; attempt?: number; generation?: number; ref?: SessionRef } = {},
): AttemptPlan {
  const { shards = 2, rehearsal = false, attempt = 3, generation = 1, ref = refOf() } = change;
  return {
    ...{ attempt, generation, table: 'EXAM_ANSWERS', batchRows: 5_000, root: 'a'.repeat(64) },
    session: { name: ref.name, uid: ref.uid, exam: 'algebra', rehearsal },
    witnesses: Array.from({ length: shards }, (_, shard) => ({
      ...{ shard, lastId: `${shard}-0`, events: eventsPerShard, digest: 'd'.repeat(40) },
      incarnation: `incarnation-${shard}`,
    })),
  };
}

export interface InputChange {
  readonly ref?: SessionRef;
  readonly shards?: number;
  readonly rehearsal?: boolean;
  readonly roster?: Roster;
  /** Fields of `spec.export`. */
  readonly export?: object;
}

export function exporterInput(change: InputChange = {}): ExporterInput {
  const { ref = refOf(), shards = 2, rehearsal = false, roster = new Map() } = change;
  const { spec } = sessionOf();
  return {
    ...{ ref, settings, roster },
    spec: { ...spec, export: { ...spec.export, ...change.export } } as ExamSpec,
    attempt: attemptPlan({ shards, rehearsal, ref }),
    shards: Array.from({ length: shards }, (_, shard) => ({ shard, incarnation: `incarnation-${shard}` })),
    receiptPublicKey: receiptKey,
  };
}

const receiptKey = `-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
`;

const labelled = fc.dictionary(fc.stringMatching(/^[a-z]{1,9}$/), fc.stringMatching(/^[a-z]{1,9}$/), { maxKeys: 3 });

/** What a session may say of its pods, also what is not its to say. */
export const wishes: fc.Arbitrary<PodParts> = fc.record(
  {
    nodeSelector: labelled,
    annotations: labelled,
    labels: fc.oneof(labelled, fc.constant({ 'app.kubernetes.io/component': 'redis' })),
    priorityClassName: fc.constant('exams'),
    tolerations: fc.constant([{ key: 'exams', operator: 'Exists' }]),
  },
  { requiredKeys: [] },
);
