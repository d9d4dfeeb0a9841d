'use strict';
// Finds what runs containers and connects them on Linux, for the one-node cluster of the tests. Plain JavaScript in the
// syntax of Node 12, like findredis.cjs.

const fs = require('fs');
const path = require('path');
const { onPath } = require('./command.cjs');
const { cacheFolder } = require('./findredis.cjs');

/** Which Debian package has which programs; the ones that kubelet, kube-proxy and the plugins start themselves too. */
const packages = {
  containerd: ['containerd', 'containerd-shim-runc-v2', 'ctr'],
  runc: ['runc'],
  iptables: ['iptables', 'iptables-save', 'iptables-restore'],
  iproute2: ['ip'],
};
const pluginPackage = 'containernetworking-plugins';
const plugins = ['ptp', 'portmap', 'host-local', 'loopback'];
/** Where Debian, Fedora and everybody else put the plugins. */
const pluginFolders = ['/usr/lib/cni', '/usr/libexec/cni', '/opt/cni/bin'];
/** Where such programs lie also when PATH does not say so. */
const systemFolders = ['/usr/local/sbin', '/usr/sbin', '/sbin'];
/** Part of the cache's name: another one is made when what is in it changes. */
const cachedName = 'containers1';

/**
 * Looks on PATH and in the usual places, and in the cache of the set-up for what is not there. The cache holds
 * only what the machine lacked when it was filled.
 * @returns {{path: string, plugins: string, env: Record<string, string>, lacking: string[]}} a PATH for the programs,
 *   the folder of the network plugins, what else is to be in the environment, and the Debian packages of what is
 *   nowhere
 */
function findContainers(env) {
  const builds = cachedContainers(env);
  const folders = (env.PATH || '').split(path.delimiter).concat(systemFolders);
  const where = { PATH: folders.concat(builds.map((build) => path.join(build, 'bin'))).join(path.delimiter) };
  const lacking = Object.keys(packages).filter((name) => packages[name].some((program) => !onPath(program, where)));
  const all = pluginFolders.concat(builds.map((build) => path.join(build, 'unpacked', 'usr/lib/cni')));
  const found = all.find((folder) => plugins.every((plugin) => fs.existsSync(path.join(folder, plugin))));
  if (!found) lacking.push(pluginPackage);
  return { path: where.PATH, plugins: found || '', env: extensions(onPath('iptables', where), builds), lacking };
}

/** An iptables that was unpacked would look for its extensions where it would have been installed. */
function extensions(iptables, builds) {
  const build = builds.find((folder) => iptables === path.join(folder, 'bin', 'iptables'));
  if (!build) return {};
  const libraries = path.join(build, 'unpacked', 'usr', 'lib');
  const folders = fs.readdirSync(libraries).map((name) => path.join(libraries, name, 'xtables'));
  const found = folders.find((folder) => fs.existsSync(folder));
  return found ? { XTABLES_LIBDIR: found } : {};
}

/** The folders that the set-up unpacked packages into. */
function cachedContainers(env) {
  const folder = cacheFolder(env);
  if (!fs.existsSync(folder)) return [];
  const names = fs.readdirSync(folder).filter((name) => name.startsWith(`${cachedName}-`));
  return names.map((name) => path.join(folder, name));
}

module.exports = { findContainers, packages, pluginPackage, cachedName };
