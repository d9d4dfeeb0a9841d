export interface TestCounts {
  passed: number;
  failed: number;
  skipped: number;
}
/** What is read of a report of vitest's JSON reporter. */
export interface TestReport {
  readonly testResults: readonly {
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string }[];
  }[];
}
/** Counts tests; a file that fails although its tests passed counts as one failed. */
export function countTests(report: TestReport): TestCounts;
/** `12 passed, 0 failed`, and the skipped ones when there are any. */
export function inWords(counts: TestCounts): string;
