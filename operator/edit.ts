import { problem } from '#queue/problem.ts';
import { type ExamSession, examName } from './examsession.ts';

/**
 * Refuses an edit of what cannot change while a session lives: its name, and what stands in its shards or decides
 * whose answers they are.
 * @throws Problem `edit_refused`, naming every such field
 */
export function checkEdit(before: ExamSession, after: ExamSession): void {
  const fixed: [path: string, before: unknown, after: unknown][] = [
    ['metadata.name', before.metadata.name, after.metadata.name],
    ['spec.exam', examName(before), examName(after)],
    ['spec.rehearsal', before.spec.rehearsal, after.spec.rehearsal],
  ];
  const changed = fixed.filter(([, was, is]) => was !== is);
  if (changed.length === 0) return;
  throw problem(
    'edit_refused',
    changed.map(([path, was, is]) => `${path} cannot change: it is ${was}, the edit says ${is}`).join('; '),
    'take the edit back; for another exam make another session, in another folder',
  );
}
