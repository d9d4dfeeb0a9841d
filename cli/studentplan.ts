import { between, type Random } from './random.ts';

/** What one student will do, in milliseconds from the start of the exam. */
export interface StudentPlan {
  readonly arriveAt: number;
  /** One time an answer, ascending. */
  readonly answersAt: readonly number[];
  readonly finishAt: number;
  /** Before this answer (index) the page is loaded again: a new client goes on with the same outbox. */
  readonly reloadBefore: number | null;
  /** Before this answer (index) the connection breaks off without a goodbye. */
  readonly cutBefore: number | null;
}

/** How students behave, as shares of all of them. */
export const behaviour = {
  /** Write on after the end and finish last. */
  late: 0.03,
  /** Load the page again once. */
  reload: 0.04,
  /** Lose the connection once. */
  cut: 0.06,
} as const satisfies Record<string, number>;

/** New connections a second that the start storm aims at; it never takes more than a fifth of the exam. */
const stormPerSecond = 600;

/**
 * Plans one student: arrives in the start storm (most at once, the rest with jitter), thinks before each answer
 * (answers fall at random over the student's time, as a Poisson process with that many answers does), may reload or
 * lose the connection, finishes near the end or in the late tail.
 */
export function planStudent(
  random: Random,
  { students, durationMs, events }: { students: number; durationMs: number; events: number },
): StudentPlan {
  const storm = Math.min(Math.max((students / stormPerSecond) * 1000, 500), durationMs / 5);
  const arriveAt = storm * random() ** 1.5;
  const isLate = random() < behaviour.late;
  const finishAt = durationMs * (isLate ? 1.02 + 0.08 * random() : 0.85 + 0.13 * random());
  const lastAnswerAt = finishAt - Math.min(500, durationMs / 50);
  const answersAt = Array.from({ length: events }, () => arriveAt + random() * (lastAnswerAt - arriveAt)).sort(
    (a, b) => a - b,
  );
  const someAnswer = (share: number) => (random() < share && events > 1 ? between(random, 1, events - 1) : null);
  return {
    arriveAt,
    answersAt,
    finishAt,
    reloadBefore: someAnswer(behaviour.reload),
    cutBefore: someAnswer(behaviour.cut),
  };
}
