'use strict';
const { spawnSync } = require('child_process');
const fs = require('fs');
const path = require('path');
const { unpackServer } = require('./apt.cjs');
const { onPath, removeFolder } = require('./command.cjs');
const { askVersion, cacheFolder, findRedis, oldestMajor, variable } = require('./findredis.cjs');
const { say, trouble } = require('./trouble.cjs');

const what = `redis-server or valkey-server, version ${oldestMajor} or newer`;

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
  fs.mkdirSync(cache, { recursive: true });
  removeAbandoned(cache);
  const work = fs.mkdtempSync(path.join(cache, temporary));
  const remove = () => removeFolder(work);
  process.once('exit', remove);
  try {
    const build = path.join(work, 'build');
    const starter = await unpackServer(build, work);
    const server = await askVersion(starter);
    if (typeof server === 'string') throw new Error(`the unpacked server ${server}`);
    const kept = await keep(build, path.join(cache, `redis-${server.version}`), work);
    say(`${server.kind} ${server.version} is ready`);
    return { ...server, path: path.join(kept, path.relative(build, starter)) };
  } catch (error) {
    throw missing(error.message);
  } finally {
    process.removeListener('exit', remove);
    remove();
  }
}

const temporary = '.redis-';
const abandonedAfterMs = 24 * 3600 * 1000;

/** Work folders of set-ups that were killed. */
function removeAbandoned(cache) {
  for (const name of fs.readdirSync(cache)) {
    const folder = path.join(cache, name);
    const old = name.startsWith(temporary) && Date.now() - fs.statSync(folder).mtimeMs > abandonedAfterMs;
    if (old) removeFolder(folder);
  }
}

/** Moves a finished build to its place, in one step: another set-up may do the same now, and the first one stays. */
async function keep(build, place, work) {
  const program = path.join('bin', fs.readdirSync(path.join(build, 'bin'))[0]);
  for (const lastTry of [false, true]) {
    try {
      fs.renameSync(build, place);
      return place;
    } catch (error) {
      if (lastTry || !['EEXIST', 'ENOTEMPTY'].includes(error.code)) throw error;
    }
    if (typeof (await askVersion(path.join(place, program))) !== 'string') return place;
    fs.renameSync(place, path.join(work, 'broken'));
  }
}

async function withBrew(env) {
  say('getting a Redis server with brew (nothing is started) ...');
  const { status } = spawnSync('brew', ['install', 'valkey'], { stdio: ['ignore', 2, 2], env });
  const { found, rejected } = await findRedis(env);
  if (found) return found;
  throw missing(status === 0 ? rejected.join('; ') : `brew install valkey ended with ${status}`);
}

module.exports = { ensureRedis };
