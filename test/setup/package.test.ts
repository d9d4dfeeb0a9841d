import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startProgram } from '#test/support/process.ts';
import { tmpFolder } from '#test/support/tmp.ts';

const root = join(import.meta.dirname, '../..');
const quiet = ['--no-audit', '--no-fund', '--loglevel=error'];

async function run(cwd: string, ...argv: string[]) {
  const program = startProgram({ argv, cwd });
  const { code } = await program.ended(90_000);
  return { code, stdout: program.stdout, stderr: program.stderr };
}

interface Lock {
  readonly packages: Readonly<Record<string, { readonly dev?: boolean }>>;
}

/** A folder that depends on nothing but the tarball, locked to the versions of the checkout: npm has those cached. */
function writeDependent(folder: string, tarball: string): void {
  const dependent = { name: 'dependent', dependencies: { untradex: `file:${tarball}` } };
  writeFileSync(join(folder, 'package.json'), JSON.stringify(dependent));
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as Lock;
  const { '': own, ...others } = packages;
  const needed = Object.entries(others).filter(([, { dev }]) => dev !== true);
  const locked = {
    '': dependent,
    'node_modules/untradex': { ...own, resolved: `file:${tarball}` },
    ...Object.fromEntries(needed),
  };
  writeFileSync(join(folder, 'package-lock.json'), JSON.stringify({ lockfileVersion: 3, packages: locked }));
}

/** Packs the checkout and installs it in the folder, without the optional packages, which are large. */
async function installPacked(folder: string): Promise<string> {
  expect(await run(root, 'npm', 'pack', '--pack-destination', folder, ...quiet)).toMatchObject({ code: 0, stderr: '' });
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz')) ?? '';
  writeDependent(folder, tarball);
  const options = ['--prefer-offline', '--omit=optional', ...quiet];
  expect(await run(folder, 'npm', 'ci', ...options)).toMatchObject({ code: 0 });
  return join(folder, 'node_modules', 'untradex');
}

test('a packed package, installed elsewhere, runs', { timeout: 120_000 }, async () => {
  const folder = tmpFolder('package');
  const installed = await installPacked(folder);
  for (const name of ['untradex', 'kubectl-untradex']) {
    const help = await run(folder, join('node_modules', '.bin', name), '--help');
    expect(help).toMatchObject({ code: 0, stderr: '' });
    expect(help.stdout).toContain('finalize');
  }
  const session = join(installed, 'examples', 'session.yaml');
  expect(await run(folder, join('node_modules', '.bin', 'untradex'), 'plan', '-f', session)).toMatchObject({ code: 0 });
  for (const program of ['gateway.mjs', 'exporter.mjs'])
    expect(existsSync(join(installed, 'dist', program))).toBe(true);
  for (const source of ['cli', 'gateway', 'test']) expect(existsSync(join(installed, source))).toBe(false);
});
