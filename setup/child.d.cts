import type { SpawnOptions } from 'node:child_process';
/** Runs a program until it ends and resolves with the exit code (128 + N when signal N ended it). */
export function runChild(program: string, args: readonly string[], options?: SpawnOptions): Promise<number>;
