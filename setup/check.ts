import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { runChild } from './child.cjs';
import { countTests, inWords } from './testcount.cjs';

/**
 * `npm test`: types, lint and tests, in this order, up to the first that fails, and a summary of what ran. Arguments
 * are vitest's (`npm test -- test/queue`): then only vitest runs. `--long` runs the long tests alone, `--cluster` those
 * that need an API server or a cluster.
 * UNTRADEX_TEST_REPORT names a file for vitest's JSON report.
 */
const root = dirname(import.meta.dirname);

interface Outcome {
  readonly code: number;
  /** For the summary. */
  readonly said: string;
}

interface Step {
  readonly name: string;
  run(): Promise<Outcome>;
}

/** Runs a program of the dependencies with this Node, and resolves with its exit code. */
function runTool(name: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<number> {
  return runChild(process.execPath, [join(root, 'node_modules', '.bin', name), ...args], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
}

async function runPlain(name: string, args: readonly string[]): Promise<Outcome> {
  const code = await runTool(name, args);
  return { code, said: code === 0 ? 'fine' : `failed (exit code ${code})` };
}

async function runTests(args: readonly string[], env: NodeJS.ProcessEnv): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'untradex-report-'));
  const file = process.env.UNTRADEX_TEST_REPORT ?? join(folder, 'report.json');
  rmSync(file, { force: true }); // An old report must not speak for this run.
  try {
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
    const code = await runTool('vitest', ['run', ...reporters, ...args], env);
    const counted = existsSync(file) ? inWords(countTests(JSON.parse(readFileSync(file, 'utf8')))) : 'no report';
    return { code, said: counted };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const types: Step = { name: 'types', run: () => runPlain('tsc', ['--project', root]) };
const lint: Step = { name: 'lint', run: () => runPlain('biome', ['check']) };

/** Tests that wait to be asked, and how vitest.config.ts is told. */
const kinds = new Map([
  ['--long', { UNTRADEX_LONG: '1' }],
  ['--cluster', { UNTRADEX_CLUSTER: '1' }],
]);

function stepsFor(args: readonly string[]): Step[] {
  const kind = kinds.get(args[0] ?? '');
  const rest = kind === undefined ? args : args.slice(1);
  const tests = { name: 'tests', run: () => runTests(rest, kind ?? {}) };
  return kind !== undefined || rest.length > 0 ? [tests] : [types, lint, tests];
}

/** Runs the steps up to the first that fails, then prints the summary; resolves with the exit code. */
async function check(steps: readonly Step[]): Promise<number> {
  const summary: string[] = [];
  let failure = 0;
  for (const { name, run } of steps) {
    if (failure !== 0) {
      summary.push(`${name}: not run`);
      continue;
    }
    const startedAt = performance.now();
    const { code, said } = await run();
    failure = code;
    summary.push(`${name}: ${said} (${((performance.now() - startedAt) / 1000).toFixed(1)} s)`);
  }
  console.log(`\n${summary.join('\n')}`);
  return failure;
}

// When whoever started this is gone, the tests end as well: `runChild` passes the signal on.
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
process.channel?.unref();
process.exitCode = await check(stepsFor(process.argv.slice(2)));
