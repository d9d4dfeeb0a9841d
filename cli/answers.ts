import { between, type Random } from './random.ts';

const words =
  'let f be continuous on the interval then by the mean value theorem there is a point where größer ≤ näher ' +
  'proof since every sequence has a limit we choose ε > 0 and obtain δ так как ответ следует из 第二 定理 thus QED 🙂';
const vocabulary = words.split(' ');

/** One answer as a page would send it: a choice, a number, or (one in five) some sentences. */
export interface Answer {
  /** Number of the answer within the student's paper, so that no two of a student are equal. */
  readonly n: number;
  readonly question: string;
  readonly value: string | number;
  readonly at: string;
}

/** Makes the student's `n`-th answer, 70 to about 700 bytes. */
export function makeAnswer(random: Random, n: number, now: number): Answer {
  const question = `q${String(between(random, 1, 20)).padStart(2, '0')}`;
  return { n, question, value: makeValue(random), at: new Date(now).toISOString() };
}

function makeValue(random: Random): string | number {
  const kind = random();
  if (kind < 0.6) return 'ABCDE'.charAt(between(random, 0, 4));
  if (kind < 0.8) return between(random, -999, 9999) / 10;
  return Array.from(
    { length: between(random, 10, 90) },
    () => vocabulary[between(random, 0, vocabulary.length - 1)],
  ).join(' ');
}
