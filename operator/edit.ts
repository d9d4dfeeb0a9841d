import { problem } from '#queue/problem.ts';
import { type ExamSession, examName } from './examsession.ts';
import { numberOf } from './quantity.ts';

/** What was made of a session before an edit, and so cannot become something else by it. */
export interface Made {
  /** Shards that exist; 0 before the first. */
  readonly shards: number;
  /** Volumes were asked for, of a class and a size: for the queue, and for the export. Never so on one machine. */
  readonly queueVolumes: boolean;
  readonly exportVolume: boolean;
}

/**
 * Refuses an edit of what cannot change while a session lives: its name, what stands in its shards or decides whose
 * answers they are, and where they are kept. `editRules` of rules.ts are the same for the API server.
 * @throws Problem `edit_refused`, naming every such field
 */
export function checkEdit(before: ExamSession, after: ExamSession, made: Made): void {
  const faults = [...fixedFaults(before, after, made), ...shardsFaults(before, after, made)];
  faults.push(...shrunkFaults(before, after, made));
  if (faults.length === 0) return;
  throw problem('edit_refused', faults.join('; '), 'take the edit back; for another exam make another session');
}

type Read = (session: ExamSession) => unknown;

function fixedFaults(before: ExamSession, after: ExamSession, made: Made): string[] {
  const fixed: readonly [path: string, isFixed: boolean, read: Read][] = [
    ['metadata.name', true, ({ metadata }) => metadata.name],
    ['spec.exam', true, examName],
    ['spec.rehearsal', true, ({ spec }) => spec.rehearsal],
    ['spec.redis.storageClass', made.queueVolumes, ({ spec }) => spec.redis.storageClass],
    ['spec.export.volume.storageClass', made.exportVolume, ({ spec }) => spec.export.volume?.storageClass],
  ];
  return fixed.flatMap(([path, isFixed, read]) => {
    const [was, is] = [read(before), read(after)];
    return !isFixed || was === is ? [] : [`${path} cannot change: ${difference(was, is)}`];
  });
}

/** Students are never moved between shards. */
function shardsFaults(before: ExamSession, after: ExamSession, made: Made): string[] {
  const [was, is] = [before.spec.redis.shards, after.spec.redis.shards];
  if (was !== undefined && was !== is) {
    return [
      `spec.redis.shards cannot change or be removed once it is set: ${difference(was, is)}; for more students grow spec.students or spec.gateway.replicas`,
    ];
  }
  if (is === undefined || was === is || made.shards === 0 || is === made.shards) return [];
  return [`spec.redis.shards must be the number of shards that exist (${made.shards}), or be left out`];
}

/** Volumes only grow. Left out and then less would be a way around. */
function shrunkFaults(before: ExamSession, after: ExamSession, made: Made): string[] {
  const sizes: [path: string, isMade: boolean, was: string | undefined, is: string | undefined][] = [
    ['spec.redis.storage', made.queueVolumes, before.spec.redis.storage, after.spec.redis.storage],
    [
      'spec.export.volume.storage',
      made.exportVolume,
      before.spec.export.volume?.storage,
      after.spec.export.volume?.storage,
    ],
  ];
  return sizes.flatMap(([path, isMade, was, is]) => {
    if (!isMade || was === undefined || (is !== undefined && numberOf(is)! >= numberOf(was)!)) return [];
    return [`${path} cannot shrink or be removed: ${difference(was, is)}`];
  });
}

function difference(was: unknown, is: unknown): string {
  return `it is ${was ?? 'left out'}, the edit ${is === undefined ? 'leaves it out' : `says ${is}`}`;
}
