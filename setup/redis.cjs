'use strict';
const { spawnSync } = require('child_process');
const fs = require('fs');
const path = require('path');
const { cachedBuild } = require('./cachedbuild.cjs');
const { onPath } = require('./command.cjs');
const { askVersion, cacheFolder, findRedis, oldestMajor, variable } = require('./findredis.cjs');
const { say, trouble } = require('./trouble.cjs');

const what = `redis-server or valkey-server, version ${oldestMajor} or newer`;
const servers = ['redis-server', 'valkey-server'];

/**
 * Finds a Redis or Valkey server (findredis.cjs says where), and gets one with the package manager when there is
 * none. No daemon is started.
 * @returns {Promise<{path: string, version: string, kind: 'redis'|'valkey'}>}
 */
async function ensureRedis(env) {
  const { found, rejected } = await findRedis(env);
  if (found) return found;
  if (env[variable]) throw trouble(`${variable} names no ${what}: ${rejected.join('; ')}`);
  if (onPath('apt-get', env) && onPath('dpkg-deb', env)) return withApt(env);
  if (onPath('brew', env)) return withBrew(env);
  throw missing(rejected.join('; '));
}

function missing(why) {
  const detail = why ? ` (${why})` : '';
  return trouble(`there is no ${what}${detail}: install one, or name it in ${variable}`);
}

async function withApt(env) {
  const cache = cacheFolder(env);
  say(`getting a Redis server into ${cache}, with apt-get, without installing it ...`);
  try {
    const bin = await cachedBuild({ cache, name: 'redis', choose: choosePackages, ask: askFolder });
    const server = await askFolder(bin);
    say(`${server.kind} ${server.version} is ready`);
    return server;
  } catch (error) {
    throw missing(error.message);
  }
}

/** The tools hold the program itself, so they come along also when they are there. */
async function choosePackages({ candidate, added }) {
  for (const server of servers) {
    const version = await candidate(server);
    if (version === null || Number.parseInt(version, 10) < oldestMajor) continue;
    const packages = [server, server.replace('-server', '-tools')].concat(await added(server));
    return { packages: Array.from(new Set(packages)), programs: [`usr/bin/${server}`] };
  }
  throw new Error(`apt-get knows no ${servers.join(' or ')} of version ${oldestMajor} or newer`);
}

/** The server whose starter is the only program in a folder. */
function askFolder(bin) {
  return askVersion(path.join(bin, fs.readdirSync(bin)[0]));
}

async function withBrew(env) {
  say('getting a Redis server with brew (nothing is started) ...');
  const { status } = spawnSync('brew', ['install', 'valkey'], { stdio: ['ignore', 2, 2], env });
  const { found, rejected } = await findRedis(env);
  if (found) return found;
  throw missing(status === 0 ? rejected.join('; ') : `brew install valkey ended with ${status}`);
}

module.exports = { ensureRedis };
