'use strict';
// Finds PostgreSQL's server programs, for tests. Plain JavaScript in the syntax of Node 12, like findredis.cjs.

const { execFile } = require('child_process');
const fs = require('fs');
const path = require('path');
const { cacheFolder } = require('./findredis.cjs');

/** The oldest version that the exporter takes. */
const oldestMajor = 13;
const variable = 'UNTRADEX_POSTGRES_BIN';

/** Where packages put what they do not put on PATH: a folder a version. */
const elsewhere = [
  { folder: '/usr/lib/postgresql', bin: (name) => (/^\d+$/.test(name) ? `${name}/bin` : null) },
  { folder: '/opt/homebrew/opt', bin: (name) => (/^postgresql@\d+$/.test(name) ? `${name}/bin` : null) },
  { folder: '/usr/local/opt', bin: (name) => (/^postgresql@\d+$/.test(name) ? `${name}/bin` : null) },
];

/**
 * Looks for a folder with `postgres` and `initdb` in this order: the one that the variable UNTRADEX_POSTGRES_BIN
 * names, PATH, where packages put them, the cache of the set-up. When the variable is set, nothing else is tried.
 * @returns {Promise<{found: {bin: string, version: string} | null, rejected: string[]}>}
 *   `rejected` says of each folder that was found and not taken, why
 */
async function findPostgres(env) {
  const rejected = [];
  for (const bin of candidates(env)) {
    const server = await askVersion(bin);
    if (typeof server === 'string') rejected.push(`${bin}: ${server}`);
    else return { found: server, rejected };
  }
  return { found: null, rejected };
}

function candidates(env) {
  if (env[variable]) return [env[variable]];
  const folders = (env.PATH || '').split(path.delimiter).filter((folder) => path.isAbsolute(folder));
  for (const { folder, bin } of elsewhere) folders.push(...newestFirst(folder, bin));
  const builds = newestFirst(postgresCache(env), (name) => (/^postgres-\d/.test(name) ? `${name}/bin` : null));
  return folders.concat(builds).filter((bin, index, all) => isThere(bin) && all.indexOf(bin) === index);
}

function isThere(bin) {
  return ['postgres', 'initdb'].every((program) => fs.existsSync(path.join(bin, program)));
}

function newestFirst(folder, bin) {
  if (!fs.existsSync(folder)) return [];
  const names = fs.readdirSync(folder).filter((name) => bin(name) !== null);
  names.sort((a, b) => b.localeCompare(a, 'en', { numeric: true }));
  return names.map((name) => path.join(folder, bin(name)));
}

/**
 * The folder that the set-up keeps the server in. PostgreSQL refuses to run as root, and another user may not look
 * into root's home: root's is the system's cache.
 */
function postgresCache(env) {
  const isRoot = process.getuid && process.getuid() === 0;
  return isRoot && !env.XDG_CACHE_HOME ? '/var/cache/untradex' : cacheFolder(env);
}

/** Runs `postgres --version`. Returns the programs, or in words why they are none. Gives it 10 s. */
function askVersion(bin) {
  return new Promise((resolve) => {
    execFile(path.join(bin, 'postgres'), ['--version'], { timeout: 10000 }, (error, stdout) => {
      const match = /^postgres \(PostgreSQL\) (\d+)([.\w]*)/m.exec(stdout || '');
      if (error) return resolve(error.code === 'ENOENT' ? 'there is no postgres' : `fails: ${lastLine(error.message)}`);
      if (!match) return resolve('is not a PostgreSQL server');
      const version = match[1] + match[2];
      if (Number(match[1]) < oldestMajor) return resolve(`version ${version} is older than ${oldestMajor}`);
      return resolve({ bin, version });
    });
  });
}

function lastLine(text) {
  return String(text).trim().split('\n').pop();
}

module.exports = { findPostgres, askVersion, postgresCache, oldestMajor, variable };
