import { type RunOptions, runLocal } from '#operator/local/run.ts';
import { isProblem } from '#queue/problem.ts';

/**
 * A `run` that tests may kill: options as JSON in the first argument, the status as JSON lines on stdout. It resembles
 * cli/run.ts, without what is for people, and takes settings.
 */
const options = JSON.parse(process.argv[2]!) as Omit<RunOptions, 'onStatus'>;
try {
  const run = await runLocal({ ...options, onStatus: (status) => console.log(JSON.stringify(status)) });
  process.on('SIGTERM', () => void run.stop());
  await run.done;
} catch (error) {
  if (!isProblem(error)) throw error;
  console.log(JSON.stringify({ problem: error.code, message: error.message, remedy: error.remedy }));
  process.exitCode = 65;
}
