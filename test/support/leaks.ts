import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll } from 'vitest';
import { cleanUpAtFileEnd } from './cleanup.ts';
import { type Descendant, descendants } from './descendants.ts';

/**
 * Set-up file of every test file: fails it when, after its tests and its own cleaning up, processes that it started
 * are alive, or sockets, servers, timers and the like still keep the event loop busy. What closes by itself within
 * `patienceMs` is no leak.
 */
const patienceMs = 3_000;

const variable = 'UNTRADEX_TEST_FILE';
const mark = `${variable}=${process.pid}-${process.hrtime.bigint()}`;
process.env[variable] = mark.slice(variable.length + 1);

let before: ReadonlyMap<string, number> = new Map();

beforeAll(() => {
  before = resources();
});

// Hooks at the end run in reverse order: this one is the last of the file, right after `cleanUpAtFileEnd`.
afterAll(async () => {
  const leaks = await within(patienceMs, () => [
    ...descendants(mark).map(({ pid, command }) => `process ${pid} is alive: ${command}`),
    ...resourcesLeft(before, resources()),
  ]);
  kill(descendants(mark));
  if (leaks.length > 0) throw new Error(`this test file leaks:\n  ${leaks.join('\n  ')}`);
}, 30_000);

cleanUpAtFileEnd();

/** Looks until nothing is left or time is up; returns what was left at the last look. */
async function within(ms: number, look: () => string[]): Promise<string[]> {
  const end = performance.now() + ms;
  for (;;) {
    await nextTurn(); // Out of the turn of our own timer, which counts as long as its turn lasts.
    const left = look();
    if (left.length === 0 || performance.now() > end) return left;
    await sleep(20);
  }
}

/** Those come and go with the test runner itself, so none that is there before the tests is excused after them. */
const fleeting = ['Timeout', 'Immediate'];

/** What keeps the event loop busy, by kind: TCPSocketWrap, TCPServerWrap, Timeout, ProcessWrap, FSReqPromise ... */
function resources(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const kind of process.getActiveResourcesInfo()) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return counts;
}

function resourcesLeft(earlier: ReadonlyMap<string, number>, now: ReadonlyMap<string, number>): string[] {
  const left: string[] = [];
  for (const [kind, count] of now) {
    const more = count - (fleeting.includes(kind) ? 0 : (earlier.get(kind) ?? 0));
    if (more > 0) left.push(`${more} more ${kind} than before the tests`);
  }
  return left;
}

function kill(processes: readonly Descendant[]): void {
  for (const { pid } of processes) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended in this moment.
    }
  }
}
