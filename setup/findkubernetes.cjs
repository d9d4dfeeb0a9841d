'use strict';
// Finds the programs of Kubernetes, for tests. Plain JavaScript in the syntax of Node 12, like findredis.cjs.

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

/**
 * Looks for all of the programs in one place, in this order: the folder that KUBEBUILDER_ASSETS names, PATH, the cache
 * of the set-up. When the variable is set, nothing else is tried.
 * @param {string[]} programs
 * @returns {Record<string, string> | null} where each program is; null when no place has all of them
 */
function findKubernetes(env, programs = apiServerPrograms) {
  if (env[variable]) return inFolder(env[variable], programs);
  return onWholePath(env, programs) || inFolder(kubernetesCache(env), programs);
}

/** The folder that the set-up keeps what it builds in; it survives the checkout. */
function kubernetesCache(env) {
  return path.join(cacheFolder(env), `kubernetes-${version}`);
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

module.exports = { findKubernetes, kubernetesCache, apiServerPrograms, variable, version };
