'use strict';
// Finds a Redis or Valkey server that is new enough. Plain JavaScript in the syntax of Node 12, because the set-up
// needs it before the project's own Node is there; the running program uses it through operator/local/redisbinary.ts.

const { execFile } = require('child_process');
const fs = require('fs');
const os = require('os');
const path = require('path');

const programs = ['redis-server', 'valkey-server'];
/** ACL selectors and the multi-part append-only file came with Redis 7. */
const oldestMajor = 7;
const variable = 'UNTRADEX_REDIS_SERVER';

/**
 * Looks in this order: the variable UNTRADEX_REDIS_SERVER, PATH, the cache of the set-up. When the variable is set,
 * nothing else is tried.
 * @returns {Promise<{found: {path: string, version: string, kind: 'redis'|'valkey'} | null, rejected: string[]}>}
 *   `rejected` says of each program that was found and not taken, why
 */
async function findRedis(env) {
  const rejected = [];
  for (const candidate of candidates(env)) {
    const server = await askVersion(candidate);
    if (typeof server === 'string') rejected.push(`${candidate}: ${server}`);
    else return { found: server, rejected };
  }
  return { found: null, rejected };
}

function candidates(env) {
  if (env[variable]) return [env[variable]];
  const folders = (env.PATH || '').split(path.delimiter).filter((folder) => path.isAbsolute(folder));
  const all = [];
  for (const folder of folders) for (const program of programs) all.push(path.join(folder, program));
  for (const build of cachedBuilds(env)) for (const program of programs) all.push(path.join(build, 'bin', program));
  return all.filter((file, index, files) => fs.existsSync(file) && files.indexOf(file) === index);
}

/** The folder that the set-up keeps servers in; it survives the checkout. */
function cacheFolder(env) {
  const base = env.XDG_CACHE_HOME;
  return path.join(base && path.isAbsolute(base) ? base : path.join(env.HOME || os.homedir(), '.cache'), 'untradex');
}

/** Cached builds (`redis-<version>`), the newest first. */
function cachedBuilds(env) {
  const folder = cacheFolder(env);
  if (!fs.existsSync(folder)) return [];
  const names = fs.readdirSync(folder).filter((name) => /^redis-\d/.test(name));
  names.sort((a, b) => b.localeCompare(a, 'en', { numeric: true }));
  return names.map((name) => path.join(folder, name));
}

/** Runs `FILE --version`. Returns the server, or in words why it is not one. Gives it 10 s. */
function askVersion(file) {
  return new Promise((resolve) => {
    execFile(file, ['--version'], { timeout: 10000 }, (error, stdout) => {
      const match = /^(Redis|Valkey|Server).* v=(\d+)(\.[\w.-]+)/im.exec(stdout || '');
      if (error || !match) return resolve(error ? reason(error) : 'is not a Redis or Valkey server');
      const version = match[2] + match[3];
      const kind = /valkey/i.test(stdout + path.basename(file)) ? 'valkey' : 'redis';
      if (Number(match[2]) < oldestMajor) return resolve(`version ${version} is older than ${oldestMajor}`);
      return resolve({ path: file, version, kind });
    });
  });
}

function reason(error) {
  if (error.code === 'ENOENT') return 'there is no such file';
  if (error.code === 'EACCES') return 'may not be executed';
  return error.killed
    ? 'did not answer --version within 10 s'
    : `fails: ${String(error.message).trim().split('\n').pop()}`;
}

module.exports = { findRedis, askVersion, cacheFolder, oldestMajor, variable };
