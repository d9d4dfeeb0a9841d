'use strict';
// Finds the programs of Kubernetes, for tests. Plain JavaScript in the syntax of Node 12, like findredis.cjs.

const { createHash } = require('crypto');
const fs = require('fs');
const path = require('path');
const { onPath } = require('./command.cjs');
const { cacheFolder } = require('./findredis.cjs');

/** What the set-up builds; the go.mod files in setup/kubernetes/ name the same versions. */
const version = '1.35.4';
/** The variable that tools for tests of controllers share: a folder with etcd, kube-apiserver and kubectl. */
const variable = 'KUBEBUILDER_ASSETS';
/** What an API server without a cluster takes. */
const apiServerPrograms = ['etcd', 'kube-apiserver', 'kubectl'];
/** What a whole cluster of one node takes beside those, and beside what findcontainers.cjs finds. */
const nodePrograms = [
  'kube-controller-manager',
  'kube-scheduler',
  'kubelet',
  'kube-proxy',
  'coredns',
  'pause',
  'probe',
];
const clusterPrograms = apiServerPrograms.concat(nodePrograms, 'helm');

/** What comes in one version, and from one place. All that is not named here belongs to Kubernetes. */
const bundles = {
  coredns: { folder: () => 'coredns-1.15.0' },
  helm: { folder: () => 'helm-4.3.1' },
  'kube-score': { folder: () => 'kube-score-1.20.0' },
  kubeconform: { folder: () => 'kubeconform-0.8.0' },
  pause: ownBundle('pause'),
  probe: ownBundle('probe'),
};
const kubernetes = { folder: () => `kubernetes-${version}` };

function bundleOf(program) {
  return bundles[program] || kubernetes;
}

/** A program of ours: its source is its version, and what PATH calls by its name is something else. */
function ownBundle(name) {
  const source = path.join(__dirname, 'kubernetes', name, 'main.go');
  const digest = () => createHash('sha256').update(fs.readFileSync(source)).digest('hex').slice(0, 12);
  return { folder: () => `${name}-${digest()}`, own: true };
}

/**
 * Looks for the programs in this order: the folder that KUBEBUILDER_ASSETS names, PATH, the cache of the set-up. Those
 * of Kubernetes itself come from one place, so that versions are never mixed. When the variable is set, nothing else
 * is tried for what it is known for: an API server, etcd and kubectl.
 * @param {string[]} programs
 * @returns {Record<string, string> | null} where each program is; null when some are nowhere
 */
function findKubernetes(env, programs = apiServerPrograms) {
  const found = {};
  for (const bundle of [kubernetes].concat(Object.values(bundles))) {
    const place = inOnePlace(
      env,
      bundle,
      programs.filter((program) => bundleOf(program) === bundle),
    );
    if (place === null) return null;
    Object.assign(found, place);
  }
  return found;
}

function inOnePlace(env, bundle, programs) {
  const assets = env[variable] && !bundle.own ? inFolder(env[variable], programs) : null;
  if (assets || isBound(env, programs)) return assets;
  return (!bundle.own && onWholePath(env, programs)) || inFolder(kubernetesCache(env, bundle), programs);
}

/** Whether KUBEBUILDER_ASSETS alone tells where these are. */
function isBound(env, programs) {
  return Boolean(env[variable]) && programs.length > 0 && programs.every((name) => apiServerPrograms.includes(name));
}

/** The folder that the set-up keeps what it builds of a bundle in; it survives the checkout. */
function kubernetesCache(env, bundle = kubernetes) {
  return path.join(cacheFolder(env), bundle.folder());
}

function inFolder(folder, programs) {
  return complete(programs, (program) => path.join(folder, program));
}

function onWholePath(env, programs) {
  return complete(programs, (program) => onPath(program, env));
}

function complete(programs, where) {
  const found = {};
  for (const program of programs) {
    const file = where(program);
    if (file === null || !fs.existsSync(file)) return null;
    found[program] = file;
  }
  return found;
}

module.exports = {
  findKubernetes,
  kubernetesCache,
  bundleOf,
  isBound,
  apiServerPrograms,
  clusterPrograms,
  variable,
  version,
};
