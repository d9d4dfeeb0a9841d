'use strict';
// Gets the programs of Kubernetes that tests need, by building them with Go: no release server is asked, the modules
// come through Go's own proxy and are checked against go.sum.

const { spawn } = require('child_process');
const fs = require('fs');
const path = require('path');
const { onPath, output, removeFolder } = require('./command.cjs');
const { apiServerPrograms, findKubernetes, kubernetesCache, variable, version } = require('./findkubernetes.cjs');
const { say, trouble } = require('./trouble.cjs');

const [major, minor] = version.split('.');
const stamp = { gitVersion: `v${version}`, gitMajor: major, gitMinor: minor };
const stampFlags = Object.keys(stamp).map((name) => `-X k8s.io/component-base/version.${name}=${stamp[name]}`);

/** Which module of setup/kubernetes/ a program is built in, and as which package. */
function sourceOf(program) {
  if (program === 'etcd') return { module: 'etcd', package: '.' };
  return { module: 'components', package: `k8s.io/kubernetes/cmd/${program}` };
}

/**
 * Finds the programs (findkubernetes.cjs says where), and builds those that the cache lacks. That takes some minutes
 * the first time.
 * @param {string[]} programs
 * @returns {Promise<Record<string, string>>} where each program is
 */
async function ensureKubernetes(env, programs = apiServerPrograms) {
  const found = findKubernetes(env, programs);
  if (found) return found;
  if (env[variable]) throw trouble(`${variable} names ${env[variable]}, which lacks some of ${programs.join(', ')}`);
  const go = onPath('go', env);
  if (go === null) throw missing(programs, 'and no Go to build them with');
  const cache = kubernetesCache(env);
  const lacking = programs.filter((program) => !fs.existsSync(path.join(cache, program)));
  try {
    await buildInto(cache, go, lacking);
  } catch (error) {
    throw missing(programs, error.message);
  }
  return findKubernetes(env, programs);
}

function missing(programs, why) {
  return trouble(
    `there is no place with ${programs.join(', ')} (${why}): install Go (go.dev/dl), or name a folder with them in ${variable}`,
  );
}

/** Builds beside the cache and moves each finished program to its place, in one step. */
async function buildInto(cache, go, programs) {
  const parent = path.dirname(cache);
  fs.mkdirSync(parent, { recursive: true });
  removeAbandoned(parent);
  const work = fs.mkdtempSync(path.join(parent, temporary));
  const remove = () => removeFolder(work);
  process.once('exit', remove);
  try {
    say(`building ${programs.join(', ')} ${version} into ${cache}: some minutes, the first time ...`);
    for (const { module, packages } of byModule(programs)) await build(go, module, packages, work);
    fs.mkdirSync(cache, { recursive: true });
    for (const program of programs) fs.renameSync(path.join(work, program), path.join(cache, program));
    say('built');
  } finally {
    process.removeListener('exit', remove);
    remove();
  }
}

const temporary = '.kubernetes-';
const abandonedAfterMs = 24 * 3600 * 1000;

/** Work folders of set-ups that were killed. */
function removeAbandoned(parent) {
  for (const name of fs.readdirSync(parent)) {
    const folder = path.join(parent, name);
    const old = name.startsWith(temporary) && Date.now() - fs.statSync(folder).mtimeMs > abandonedAfterMs;
    if (old) removeFolder(folder);
  }
}

function byModule(programs) {
  const sources = programs.map(sourceOf);
  return ['etcd', 'components']
    .map((module) => ({
      module,
      packages: sources.filter((source) => source.module === module).map((source) => source.package),
    }))
    .filter(({ packages }) => packages.length > 0);
}

const downloadWithinMs = 600000;

/** One `go build` for all packages of a module, which share most of their dependencies. */
async function build(go, module, packages, work) {
  const cwd = path.join(__dirname, 'kubernetes', module);
  const env = { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=readonly', GOWORK: 'off' };
  say(`${module}: downloading modules ...`);
  const listed = await output(go, ['list', '-deps'].concat(packages), { cwd, timeoutMs: downloadWithinMs });
  const flags = ['build', '-v', '-trimpath', '-buildvcs=false', '-ldflags', ['-s', '-w'].concat(stampFlags).join(' ')];
  const args = flags.concat('-o', `${work}${path.sep}`, packages);
  await follow(
    go,
    args,
    { cwd, env },
    (lines) => `${module}: ${lines} of at most ${listed.split('\n').length} packages compiled`,
  );
}

const tellEveryMs = 15000;

/** Runs Go to its end and tells now and then how far it is. Rejects with the last lines that it said. */
function follow(go, args, options, progress) {
  return new Promise((resolve, reject) => {
    const child = spawn(go, args, { ...options, stdio: ['ignore', 'ignore', 'pipe'] });
    let lines = 0;
    let tail = '';
    child.stderr.on('data', (bytes) => {
      const text = String(bytes);
      lines += text.split('\n').length - 1;
      tail = (tail + text).slice(-2000);
    });
    const end = () => child.kill();
    const timer = setInterval(() => say(progress(lines)), tellEveryMs);
    process.once('exit', end);
    const release = () => {
      clearInterval(timer);
      process.removeListener('exit', end);
    };
    child.on('error', (error) => {
      release();
      reject(error);
    });
    child.on('close', (code) => {
      release();
      if (code === 0) resolve();
      else reject(new Error(`go ${args[0]} failed: ${tail.trim().split('\n').slice(-5).join('; ')}`));
    });
  });
}

module.exports = { ensureKubernetes };
