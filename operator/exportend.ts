import type { AttemptPlan } from './plan.ts';
import type { AttemptObserved, AttemptState, ExportResult, Fault } from './platform.ts';

/** What the programs of the exporter leave behind, and what it means for their attempt. Pure; for every platform. */

/** Exit codes of the exporter's programs (exporter/outcome.ts); any other means that a new attempt may work. */
export const exporterExit = { done: 0, forGood: 1 } as const;

/** The last line of a program: `{kind: 'result', ...}` or `{kind: 'problem', code, message, remedy}`. */
export type LastLine = { readonly kind: string } & Partial<ExportResult> & Partial<Fault>;

/** How an attempt ended. Written once, then the attempt is over. */
export interface AttemptOutcome {
  readonly state: Exclude<AttemptState, 'running'>;
  /** ms since 1970 */
  readonly endedAt: number;
  readonly fault: Fault | null;
  readonly result: ExportResult | null;
}

export function eventsOf(plan: AttemptPlan): number {
  return plan.witnesses.reduce((sum, witness) => sum + witness.events, 0);
}

/** An attempt that has just begun. */
export function begun(plan: AttemptPlan): AttemptObserved {
  const nothing = { rows: 0, rowsPerSecond: 0, endedAt: null, fault: null, result: null };
  return { plan, state: 'running', step: 'load', total: eventsOf(plan), ...nothing };
}

export function resultOf(line: LastLine): ExportResult {
  return {
    rows: line.rows ?? 0,
    root: line.root ?? '',
    digest: line.digest ?? '',
    report: line.report ?? '',
    rowsPerSecond: line.rowsPerSecond ?? 0,
  };
}

/** The proof of the publisher is compared once more with what the operator itself sealed; null when it is the same. */
export function rootFault(result: ExportResult, { root }: AttemptPlan): Fault | null {
  if (result.root === root) return null;
  return {
    code: 'root_differs',
    message: `the exporter proved the root ${result.root || '(none)'}, sealed was ${root}`,
    remedy: 'keep the queue and the table as they are, and report this: it must not happen',
  };
}

/** A program's own words for why it did not succeed; null when it had none. */
export function saidFault(last: LastLine | null): Fault | null {
  if (last?.kind !== 'problem' || last.code === undefined) return null;
  return { code: last.code, message: last.message ?? '', remedy: last.remedy ?? '' };
}

/** Only a program that said what is wrong, and that a person must mend it, blocks the export. */
export function stateOfEnd(exitCode: number | null, said: Fault | null): 'failed' | 'blocked' {
  return exitCode === exporterExit.forGood && said !== null ? 'blocked' : 'failed';
}
