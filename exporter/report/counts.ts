import type { DifferenceKind } from '../differences.ts';
import type { Verification } from '../verify.ts';

/** How the rows differ from the log, by what it means for answers. */
export interface DifferenceCounts {
  readonly missing: number;
  readonly twice: number;
  readonly outOfOrder: number;
  /** Foreign or changed rows, states and roots that differ. */
  readonly other: number;
  /** True when only some were looked at one by one: there are at least so many. */
  readonly atLeast: boolean;
}

/** Pure. All are 0 exactly when nothing differs. */
export function countDifferences({ differences, more }: Verification): DifferenceCounts {
  const of = (wanted: DifferenceKind) => differences.filter(({ kind }) => kind === wanted).length;
  const [missing, twice, outOfOrder] = [of('missing'), of('doubled'), of('disordered')];
  return { missing, twice, outOfOrder, other: differences.length - missing - twice - outOfOrder, atLeast: more };
}
