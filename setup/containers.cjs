'use strict';
const { cachedBuild } = require('./cachedbuild.cjs');
const { onPath, output } = require('./command.cjs');
const { cachedName, findContainers, packages, pluginPackage } = require('./findcontainers.cjs');
const { cacheFolder } = require('./findredis.cjs');
const { say, trouble } = require('./trouble.cjs');

/** Where Debian puts the programs; iptables is chosen by alternatives, which unpacking does not set. */
const programs = {
  containerd: ['usr/bin/containerd', 'usr/bin/containerd-shim-runc-v2', 'usr/bin/ctr'],
  runc: ['usr/sbin/runc'],
  iptables: ['', '-save', '-restore'].flatMap((suffix) => [
    `usr/sbin/iptables-nft${suffix} as iptables${suffix}`,
    `usr/sbin/ip6tables-nft${suffix} as ip6tables${suffix}`,
  ]),
  iproute2: ['bin/ip'],
};

/**
 * Finds what runs containers (findcontainers.cjs says where), and gets what is lacking with apt-get, unpacked into the
 * cache: nothing is installed and no daemon is started. Only for Linux, and of use to root alone.
 */
async function ensureContainers(env) {
  const { lacking } = findContainers(env);
  if (lacking.length === 0) return;
  if (!onPath('apt-get', env) || !onPath('dpkg-deb', env)) throw missing(lacking, 'and no apt-get to get it with');
  say(`getting ${lacking.join(', ')} into ${cacheFolder(env)}, with apt-get, without installing anything ...`);
  try {
    await cachedBuild({ cache: cacheFolder(env), name: cachedName, choose: chooser(lacking), ask: versionOf(lacking) });
  } catch (error) {
    throw missing(lacking, error.message);
  }
  const still = findContainers(env).lacking;
  if (still.length > 0) throw missing(still, 'even after unpacking its package');
  say('the programs for containers are ready');
}

function missing(names, why) {
  return trouble(`a cluster for tests needs ${names.join(', ')} (${why}): install these packages`);
}

/** The packages and the libraries that they would bring; no other programs. */
function chooser(lacking) {
  return async ({ added }) => {
    const brought = [];
    for (const name of lacking) brought.push(...(await added(name)));
    const wanted = (name) => name.startsWith('lib') || lacking.includes(name);
    const chosen = brought.filter((name, index) => wanted(name) && brought.indexOf(name) === index);
    const own = Object.keys(packages).filter((name) => lacking.includes(name));
    return { packages: chosen, programs: own.flatMap((name) => programs[name]) };
  };
}

/** A name for what was unpacked: each program is also started once. */
function versionOf(lacking) {
  return async (bin) => {
    const asked = { containerd: '--version', runc: '--version', iptables: '--version', ip: '-V' };
    const names = { iproute2: 'ip' };
    try {
      for (const name of lacking.filter((each) => each !== pluginPackage)) {
        const program = names[name] || name;
        await output(`${bin}/${program}`, [asked[program]]);
      }
      return { version: lacking.join('+') };
    } catch (error) {
      return error.message;
    }
  };
}

module.exports = { ensureContainers };
