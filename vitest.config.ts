import { defineConfig, type TestProjectConfiguration } from 'vitest/config';

/**
 * Two kinds of tests wait to be asked:
 * - Long ones: `npm run test:long` sets UNTRADEX_LONG=1 and runs `*.long.test.ts` and every `*histories.test.ts`. A
 *   history test is also part of `npm test`, and asks `long` of test/support/long.ts how much it should do.
 * - Ones that need a cluster, in test/cluster/: `npm run test:cluster` sets UNTRADEX_CLUSTER=1 and runs only those.
 *   Most need an API server alone. `*.whole.test.ts` start a whole cluster, and run one after the other.
 */
const long = process.env.UNTRADEX_LONG === '1';
const cluster = process.env.UNTRADEX_CLUSTER === '1';

const common = {
  // A process a file: what a test leaves behind is its own file's, and setupFiles finds it.
  pool: 'forks',
  isolate: true,
  setupFiles: 'test/support/leaks.ts',
  // Tests that need longer say so themselves: `test(name, { timeout: 60_000 }, ...)`.
  testTimeout: long || cluster ? 600_000 : 10_000,
  hookTimeout: long || cluster ? 120_000 : 30_000,
  retry: 0,
} as const;

/** One more than two cores: most tests mostly wait, for processes, disks and clocks. */
const maxWorkers = 3;

const whole = 'test/cluster/**/*.whole.test.ts';
const clusterProjects: TestProjectConfiguration[] = [
  {
    test: {
      ...common,
      name: 'API server',
      include: ['test/cluster/**/*.test.ts'],
      exclude: [whole],
      maxWorkers,
      sequence: { groupOrder: 0 },
    },
  },
  { test: { ...common, name: 'whole', include: [whole], maxWorkers: 1, sequence: { groupOrder: 1 } } },
];

const single = {
  ...common,
  include: long ? ['test/**/*.long.test.ts', 'test/**/*histories.test.ts'] : ['test/**/*.test.ts'],
  exclude: ['test/cluster/**', ...(long ? [] : ['test/**/*.long.test.ts'])],
  maxWorkers,
};

export default defineConfig({
  test: {
    ...(cluster ? { projects: clusterProjects } : single),
    globalSetup: ['test/support/nothingleft.ts'],
    // An empty run is a failed one.
    passWithNoTests: false,
  },
});
