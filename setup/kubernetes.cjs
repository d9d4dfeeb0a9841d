'use strict';
// Gets the programs of Kubernetes that tests need, by building them with Go: no release server is asked, the modules
// come through Go's own proxy and are checked against go.sum.

const { spawn } = require('child_process');
const fs = require('fs');
const path = require('path');
const { onPath, output, removeFolder } = require('./command.cjs');
const { apiServerPrograms, bundleOf, findKubernetes, isBound, kubernetesCache } = require('./findkubernetes.cjs');
const { variable, version } = require('./findkubernetes.cjs');
const { say, trouble } = require('./trouble.cjs');

const [major, minor] = version.split('.');
const stamp = { gitVersion: `v${version}`, gitMajor: major, gitMinor: minor };
const stampFlags = Object.keys(stamp).map((name) => `-X k8s.io/component-base/version.${name}=${stamp[name]}`);

/** The modules of setup/kubernetes/ that build one program each, and the package that it is. */
const ownModules = {
  etcd: '.',
  pause: '.',
  probe: '.',
  coredns: 'github.com/coredns/coredns',
  helm: 'helm.sh/helm/v4/cmd/helm',
  'kube-score': 'github.com/zegl/kube-score/cmd/kube-score',
  kubeconform: 'github.com/yannh/kubeconform/cmd/kubeconform',
};

/** Which module of setup/kubernetes/ a program is built in, and as which package. */
function sourceOf(program) {
  if (ownModules[program]) return { module: program, package: ownModules[program] };
  return { module: 'components', package: `k8s.io/kubernetes/cmd/${program}` };
}

/**
 * Finds the programs (findkubernetes.cjs says where), and builds those that the cache lacks. For an API server that
 * takes some minutes the first time, for a whole cluster (`clusterPrograms`) about ten on two cores.
 * @param {string[]} programs
 * @returns {Promise<Record<string, string>>} where each program is
 */
async function ensureKubernetes(env, programs = apiServerPrograms) {
  const found = findKubernetes(env, programs);
  if (found) return found;
  if (isBound(env, programs)) {
    throw trouble(`${variable} names ${env[variable]}, which lacks some of ${programs.join(', ')}`);
  }
  const go = onPath('go', env);
  if (go === null) throw missing(programs, 'and no Go to build them with');
  const placeOf = (program) => path.join(kubernetesCache(env, bundleOf(program)), program);
  const isLacking = (program) => !fs.existsSync(placeOf(program)) && !isFound(env, programs, bundleOf(program));
  try {
    await buildInto(placeOf, go, programs.filter(isLacking));
  } catch (error) {
    throw missing(programs, error.message);
  }
  return findKubernetes(env, programs);
}

/** Whether one place has all of the programs that belong to a bundle. */
function isFound(env, programs, bundle) {
  const together = programs.filter((program) => bundleOf(program) === bundle);
  return findKubernetes(env, together) !== null;
}

function missing(programs, why) {
  return trouble(
    `there is no place with ${programs.join(', ')} (${why}): install Go (go.dev/dl), or name a folder with them in ${variable}`,
  );
}

/**
 * Builds what is lacking beside the cache, and moves each finished program there in one step: what one
 * module gave stays when a later one fails.
 * @param {(program: string) => string} placeOf
 */
async function buildInto(placeOf, go, lacking) {
  const parent = path.dirname(path.dirname(placeOf(lacking[0])));
  fs.mkdirSync(parent, { recursive: true });
  removeAbandoned(parent);
  const work = fs.mkdtempSync(path.join(parent, temporary));
  const remove = () => removeFolder(work);
  process.once('exit', remove);
  try {
    say(`building ${lacking.join(', ')} into ${parent}: some minutes, the first time ...`);
    for (const module of modulesOf(lacking)) {
      const ofModule = lacking.filter((program) => sourceOf(program).module === module);
      await build(
        go,
        module,
        ofModule.map((program) => sourceOf(program).package),
        work,
      );
      for (const program of ofModule) move(path.join(work, program), placeOf(program));
    }
    say('built');
  } finally {
    process.removeListener('exit', remove);
    remove();
  }
}

function move(file, place) {
  fs.mkdirSync(path.dirname(place), { recursive: true });
  fs.renameSync(file, place);
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

function modulesOf(programs) {
  return programs
    .map((program) => sourceOf(program).module)
    .filter((module, index, all) => all.indexOf(module) === index);
}

const downloadWithinMs = 600000;

/** One `go build` for all packages of a module, which share most of their dependencies. */
async function build(go, module, packages, work) {
  const cwd = path.join(__dirname, 'kubernetes', module);
  const env = { ...process.env, ...platformOf(module), CGO_ENABLED: '0', GOFLAGS: '-mod=readonly', GOWORK: 'off' };
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

/** What runs in containers alone is for Linux, wherever it is built. */
function platformOf(module) {
  return ['pause', 'probe'].includes(module) ? { GOOS: 'linux' } : {};
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
