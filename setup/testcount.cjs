'use strict';

/**
 * Counts the tests of a report of vitest's JSON reporter. A file that fails although its tests passed (it did not
 * load, its hooks failed, it left processes) counts as one failed.
 */
function countTests(report) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const file of report.testResults) {
    const failedBefore = counts.failed;
    for (const { status } of file.assertionResults) counts[status in counts ? status : 'skipped'] += 1;
    if (file.status === 'failed' && counts.failed === failedBefore) counts.failed += 1;
  }
  return counts;
}

/** `12 passed, 0 failed`, and the skipped ones when there are any. */
function inWords({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

module.exports = { countTests, inWords };
