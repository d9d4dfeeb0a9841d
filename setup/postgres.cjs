'use strict';
const { spawnSync } = require('child_process');
const { cachedBuild } = require('./cachedbuild.cjs');
const { onPath } = require('./command.cjs');
const { askVersion, findPostgres, oldestMajor, postgresCache, variable } = require('./findpostgres.cjs');
const { say, trouble } = require('./trouble.cjs');

const what = `PostgreSQL server of version ${oldestMajor} or newer`;
/** Of Homebrew: a version, since the formula without one does not exist any more. */
const formula = 'postgresql@17';

/**
 * Finds PostgreSQL's programs (findpostgres.cjs says where), and gets them with the package manager when there are
 * none. Only tests need them; no daemon is started.
 * @returns {Promise<{bin: string, version: string}>}
 */
async function ensurePostgres(env) {
  const { found, rejected } = await findPostgres(env);
  if (found) return found;
  if (env[variable]) throw trouble(`${variable} names no ${what}: ${rejected.join('; ') || 'no postgres and initdb'}`);
  if (onPath('apt-get', env) && onPath('dpkg-deb', env)) return withApt(env);
  if (onPath('brew', env)) return withBrew(env);
  throw missing(rejected.join('; '));
}

function missing(why) {
  const detail = why ? ` (${why})` : '';
  return trouble(`there is no ${what}${detail}: install one, or name the folder of its programs in ${variable}`);
}

async function withApt(env) {
  const cache = postgresCache(env);
  say(`getting a PostgreSQL server into ${cache}, with apt-get, without installing it ...`);
  try {
    const bin = await cachedBuild({ cache, name: 'postgres', choose: choosePackages, ask: askVersion });
    const server = await askVersion(bin);
    say(`PostgreSQL ${server.version} is ready`);
    return server;
  } catch (error) {
    throw missing(error.message);
  }
}

/** What only the JIT compiler and Debian's scripts need is large, and left out with all that is not a library. */
const needless = /^lib(llvm|z3)|perl/;

/** The package `postgresql` only names the version of the distribution: 15+248 is PostgreSQL 15. */
async function choosePackages({ candidate, added }) {
  const major = Number.parseInt(await candidate('postgresql'), 10);
  if (!(major >= oldestMajor)) throw new Error(`apt-get knows no ${what}`);
  const server = `postgresql-${major}`;
  const libraries = (await added(server)).filter((name) => name.startsWith('lib') && !needless.test(name));
  const bin = `usr/lib/postgresql/${major}/bin`;
  return { packages: [server].concat(libraries), programs: [`${bin}/postgres`, `${bin}/initdb`] };
}

async function withBrew(env) {
  say('getting a PostgreSQL server with brew (nothing is started) ...');
  const { status } = spawnSync('brew', ['install', formula], { stdio: ['ignore', 2, 2], env });
  const { found, rejected } = await findPostgres(env);
  if (found) return found;
  throw missing(status === 0 ? rejected.join('; ') : `brew install ${formula} ended with ${status}`);
}

module.exports = { ensurePostgres };
