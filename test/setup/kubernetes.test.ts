import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findKubernetes, version } from '#setup/findkubernetes.cjs';
import { type Program, startProgram } from '#test/support/process.ts';
import { tmpFolder } from '#test/support/tmp.ts';

const programs = ['etcd', 'kube-apiserver', 'kubectl'] as const;

/** A folder that holds these programs. */
function folderWith(names: readonly string[], folder = tmpFolder('kubernetes')): string {
  mkdirSync(folder, { recursive: true });
  for (const name of names) writeFileSync(join(folder, name), '', { mode: 0o755 });
  return folder;
}

const inFolder = (folder: string) => Object.fromEntries(programs.map((program) => [program, join(folder, program)]));
const cacheIn = (home: string) => join(home, 'untradex', `kubernetes-${version}`);

test('the programs are looked for in KUBEBUILDER_ASSETS, on PATH and in the cache, in this order', () => {
  const [assets, onPath, home] = [folderWith(programs), folderWith(programs), tmpFolder('cache')];
  folderWith(programs, cacheIn(home));
  const cacheOnly = { PATH: tmpFolder('empty'), XDG_CACHE_HOME: home };
  expect(findKubernetes({ ...cacheOnly, PATH: onPath, KUBEBUILDER_ASSETS: assets })).toEqual(inFolder(assets));
  expect(findKubernetes({ ...cacheOnly, PATH: onPath })).toEqual(inFolder(onPath));
  expect(findKubernetes(cacheOnly)).toEqual(inFolder(cacheIn(home)));
});

test('a place that lacks one of them does not count, so that versions are never mixed', () => {
  const home = tmpFolder('cache');
  const kubectlOnly = folderWith(['kubectl']);
  expect(findKubernetes({ PATH: kubectlOnly, XDG_CACHE_HOME: home })).toBeNull();
  folderWith(programs, cacheIn(home));
  expect(findKubernetes({ PATH: kubectlOnly, XDG_CACHE_HOME: home })).toEqual(inFolder(cacheIn(home)));
  expect(findKubernetes({ PATH: kubectlOnly, XDG_CACHE_HOME: home, KUBEBUILDER_ASSETS: kubectlOnly })).toBeNull();
});

test('Helm and CoreDNS may come from elsewhere than Kubernetes, our own programs from the cache alone', () => {
  const [home, onPath] = [tmpFolder('cache'), folderWith(['helm', 'coredns', 'probe'])];
  folderWith(programs, cacheIn(home));
  const env = { PATH: onPath, XDG_CACHE_HOME: home };
  const helm = { helm: join(onPath, 'helm') };
  expect(findKubernetes(env, ['helm', 'kubectl'])).toEqual({ ...helm, kubectl: join(cacheIn(home), 'kubectl') });
  expect(findKubernetes({ ...env, KUBEBUILDER_ASSETS: folderWith(programs) }, ['helm'])).toEqual(helm);
  expect(findKubernetes(env, ['probe'])).toBeNull();
});

test('KUBEBUILDER_ASSETS tells where an API server is; a node that it lacks is looked for elsewhere', () => {
  const home = tmpFolder('cache');
  const node = [...programs, 'kubelet'] as const;
  folderWith(node, cacheIn(home));
  const env = { PATH: '', XDG_CACHE_HOME: home, KUBEBUILDER_ASSETS: folderWith(programs) };
  expect(findKubernetes(env, node)?.['kube-apiserver']).toBe(join(cacheIn(home), 'kube-apiserver'));
  expect(findKubernetes(env)?.['kube-apiserver']).toBe(join(env.KUBEBUILDER_ASSETS, 'kube-apiserver'));
});

/** Runs the set-up of Kubernetes alone, with the programs of the folder `bin` on PATH. */
function ensure(bin: string, home: string, more: Record<string, string> = {}): Program {
  const code = `require('./setup/kubernetes.cjs').ensureKubernetes(process.env)
    .then((found) => console.log(JSON.stringify(found)), (error) => { console.error(error.message); process.exitCode = 1; })`;
  const env = { PATH: bin, XDG_CACHE_HOME: home, KUBEBUILDER_ASSETS: '', ...more };
  return startProgram({ argv: [process.execPath, '-e', code], env });
}

/** A Go that runs this for `go build`, with the folder of -o in $out. */
function fakeGo(build: string): string {
  const bin = tmpFolder('go');
  const script = `#!/bin/sh
    [ "$1" = list ] && { echo one; echo two; exit 0; }
    while [ "$1" != -o ]; do shift; done
    out=$2
    ${build}`;
  writeFileSync(join(bin, 'go'), script);
  chmodSync(join(bin, 'go'), 0o755);
  return bin;
}

test('without Go it says what to install', async () => {
  const program = ensure(tmpFolder('empty'), tmpFolder('cache'));
  expect(await program.ended()).toMatchObject({ code: 1 });
  expect(program.stderr).toContain('no Go to build them with): install Go (go.dev/dl), or name a folder');
});

test('a folder in KUBEBUILDER_ASSETS that lacks programs is told, not replaced', async () => {
  const program = ensure(fakeGo('exit 9'), tmpFolder('cache'), { KUBEBUILDER_ASSETS: '/nowhere' });
  expect(await program.ended()).toMatchObject({ code: 1 });
  expect(program.stderr).toContain('KUBEBUILDER_ASSETS names /nowhere, which lacks some of etcd');
});

test('what is missing is built into the cache, and nothing else is left there', async () => {
  const home = tmpFolder('cache');
  const go = fakeGo('case "$PWD" in */etcd) : > "$out/etcd";; *) : > "$out/kube-apiserver"; : > "$out/kubectl";; esac');
  const program = ensure(go, home);
  expect(await program.ended(), program.stderr).toMatchObject({ code: 0 });
  expect(program.lines).toEqual([inFolder(cacheIn(home))]);
  expect(readdirSync(join(home, 'untradex'))).toEqual([`kubernetes-${version}`]);
});

test('a build that fails leaves no program behind, and its reason is told', async () => {
  const home = tmpFolder('cache');
  const program = ensure(fakeGo(': > "$out/etcd"; echo "no space left on device" >&2; exit 1'), home);
  expect(await program.ended()).toMatchObject({ code: 1 });
  expect(program.stderr).toContain('go build failed: no space left on device');
  expect(existsSync(cacheIn(home))).toBe(false);
  expect(readdirSync(join(home, 'untradex'))).toEqual([]);
});
