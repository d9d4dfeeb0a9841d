import { defineConfig } from 'vitest/config';

/**
 * Two kinds of tests wait to be asked:
 * - Long ones: `npm run test:long` sets UNTRADEX_LONG=1 and runs `*.long.test.ts` and every `*histories.test.ts`. A
 *   history test is also part of `npm test`, and asks `long` of test/support/long.ts how much it should do.
 * - Ones that need a cluster, in test/cluster/: `npm run test:cluster` sets UNTRADEX_CLUSTER=1 and runs only those.
 */
const long = process.env.UNTRADEX_LONG === '1';
const cluster = process.env.UNTRADEX_CLUSTER === '1';

function included(): string[] {
  if (cluster) return ['test/cluster/**/*.test.ts'];
  return long ? ['test/**/*.long.test.ts', 'test/**/*histories.test.ts'] : ['test/**/*.test.ts'];
}

export default defineConfig({
  test: {
    include: included(),
    exclude: [...(cluster ? [] : ['test/cluster/**']), ...(long ? [] : ['test/**/*.long.test.ts'])],
    // A process a file: what a test leaves behind is its own file's, and setupFiles finds it.
    pool: 'forks',
    isolate: true,
    // One more than two cores: these tests mostly wait, for processes, disks and clocks.
    maxWorkers: 3,
    globalSetup: ['test/support/nothingleft.ts'],
    setupFiles: ['test/support/leaks.ts'],
    // Tests that need longer say so themselves: `test(name, { timeout: 60_000 }, ...)`.
    testTimeout: long || cluster ? 600_000 : 10_000,
    hookTimeout: long || cluster ? 120_000 : 30_000,
    retry: 0,
    // An empty run is a failed one.
    passWithNoTests: false,
  },
});
