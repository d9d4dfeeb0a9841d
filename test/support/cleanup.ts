import { afterAll, onTestFinished, TestRunner } from 'vitest';

/** Takes something away again. `failed` tells whether the test (or any test of the file) failed. */
type CleanUp = (failed: boolean) => Promise<void> | void;

const ofFile: CleanUp[] = [];

/**
 * Runs `cleanUp` at the end of the running test, or, outside of a test (at the top of a file, in `beforeAll`), at the
 * end of the file; the last registered first. Every one runs, also when one before it throws.
 */
export function onScopeEnd(cleanUp: CleanUp): void {
  const test = TestRunner.getCurrentTest();
  if (test === undefined) ofFile.push(cleanUp);
  else onTestFinished(({ task }) => cleanUp(task.result?.state === 'fail'));
}

/** Called once a file, by the set-up file `leaks.ts`, before it looks for leaks. */
export function cleanUpAtFileEnd(): void {
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads from the pattern which fixtures a hook wants: none.
  afterAll(async ({}, file) => {
    const failed = file.result?.state === 'fail' || file.tasks.some((task) => task.result?.state === 'fail');
    const errors: unknown[] = [];
    for (const cleanUp of ofFile.splice(0).reverse()) {
      await Promise.resolve(cleanUp(failed)).catch((error: unknown) => errors.push(error));
    }
    if (errors.length > 0) throw new AggregateError(errors, 'cleaning up failed');
  });
}
