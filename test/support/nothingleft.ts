import { descendants } from './descendants.ts';

/**
 * Around the whole run: ends what a test process left that was itself killed (a timeout of vitest, a crash), before
 * its own check (leaks.ts) could, and says so.
 */
const variable = 'UNTRADEX_TEST_RUN';

export function setup(): () => void {
  const value = `${process.pid}-${process.hrtime.bigint()}`;
  process.env[variable] = value;
  return () => {
    const left = descendants(`${variable}=${value}`).filter(({ command }) => !command.includes('vitest'));
    for (const { pid, command } of left) {
      console.error(`left by the tests, and ended now: process ${pid} ${command}`);
      process.kill(pid, 'SIGKILL');
    }
  };
}
