import { symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Exit, type Program, startProgram } from '#test/support/process.ts';
import { tmpFolder } from '#test/support/tmp.ts';

const launcher = resolve(import.meta.dirname, '../../bin/kubectl-untradex.mjs');

export type Ended = Exit & { readonly stdout: string; readonly stderr: string };

/** `kubectl untradex`, as kubectl would start it for whoever has this kubeconfig. */
export interface Plugin {
  start(...args: string[]): Program;
  /** To its end, within a minute. */
  run(...args: string[]): Promise<Ended>;
  /** The folder with the link, as `npm install --global` makes it, for PATH. */
  readonly bin: string;
}

export function pluginFor(kubeconfig: string): Plugin {
  const bin = tmpFolder('plugin');
  const link = join(bin, 'kubectl-untradex');
  symlinkSync(launcher, link);
  const start = (...args: string[]) =>
    startProgram({ argv: [process.execPath, link, ...args], env: { KUBECONFIG: kubeconfig, NO_COLOR: '1' } });
  return {
    bin,
    start,
    async run(...args) {
      const program = start(...args);
      const exit = await program.ended(60_000);
      return { ...exit, stdout: program.stdout, stderr: program.stderr };
    },
  };
}
