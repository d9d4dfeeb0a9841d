'use strict';
const { spawn } = require('child_process');
const fs = require('fs');
const path = require('path');
const { say, trouble } = require('./trouble.cjs');

/**
 * Installs what package-lock.json says, unless it is installed already: that costs two reads. Two set-ups at once
 * take turns.
 * @param {string} root the checkout
 */
async function ensureDependencies(root, env) {
  if (installed(root)) return;
  const release = await takeTurn(path.join(root, '.untradex', 'setup.lock'));
  try {
    if (!installed(root)) await install(root, env);
  } finally {
    release();
  }
}

/**
 * npm writes node_modules/.package-lock.json last: what is in there is installed completely. Optional packages may
 * be missing, those for other systems are.
 */
function installed(root) {
  const wanted = packagesIn(path.join(root, 'package-lock.json'));
  const present = packagesIn(path.join(root, 'node_modules', '.package-lock.json'));
  return Object.keys(wanted).every((name) => {
    const want = wanted[name];
    const have = present[name];
    if (name === '') return true;
    return have
      ? have.version === want.version && have.integrity === want.integrity
      : want.optional || want.devOptional;
  });
}

function packagesIn(file) {
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8')).packages || {};
  } catch (error) {
    if (error.code === 'ENOENT') return {};
    throw trouble(`${file} cannot be read: ${error.message}`);
  }
}

/** Two tries more on a bad network, within half a minute: npm's own pause before the last is a minute long. */
const ci = ['ci', '--no-audit', '--no-fund', '--loglevel=error', '--fetch-retry-maxtimeout=15000'];

async function install(root, env) {
  say('installing the dependencies (npm ci), which takes a minute at the first start ...');
  const [program, args] = npm(env);
  const child = spawn(program, args.concat(ci), {
    cwd: root,
    env: withoutOwnBin(root, env),
    stdio: ['ignore', 2, 'pipe'],
  });
  let errors = '';
  child.stderr.on('data', (bytes) => {
    errors = (errors + bytes).slice(-16384);
  });
  const result = await new Promise((resolve) => {
    child.on('error', (error) => resolve(error.code));
    child.on('close', (code, signal) => resolve(signal || code));
  });
  if (result === 0) return;
  throw trouble(whyItFailed(result, errors));
}

/** The npm that started this, else the one on PATH. */
function npm(env) {
  const cli = env.npm_execpath || '';
  return path.basename(cli) === 'npm-cli.js' ? [env.npm_node_execpath || process.execPath, [cli]] : ['npm', []];
}

/** npm replaces node_modules, so it must not be run by the Node in there, which `npm run` puts first on PATH. */
function withoutOwnBin(root, env) {
  const own = path.join(root, 'node_modules') + path.sep;
  const folders = (env.PATH || '').split(path.delimiter).filter((folder) => !folder.startsWith(own));
  return { ...env, PATH: folders.join(path.delimiter) };
}

const networkErrors =
  /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ERR_SOCKET_TIMEOUT|ENOTCACHED)\b/;

function whyItFailed(result, errors) {
  if (result === 'ENOENT') return 'there is no npm to install the dependencies with: install Node with its npm';
  const network = networkErrors.exec(errors);
  if (network) return `the dependencies could not be installed, npm has no network (${network[1]}): try again with one`;
  process.stderr.write(errors);
  return `the dependencies could not be installed: npm ci ended with ${result}, see above`;
}

const longestTurnMs = 15 * 60 * 1000;

/** Waits until no other set-up installs here, and returns what ends our turn. A turn ends with its process. */
async function takeTurn(lock) {
  fs.mkdirSync(path.dirname(lock), { recursive: true });
  const until = Date.now() + longestTurnMs;
  for (let told = false; !claim(lock); ) {
    if (Date.now() > until) throw trouble(`another set-up takes too long; when there is none, remove ${lock}`);
    if (!told) say('waiting for another set-up of this folder ...');
    told = true;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  const release = () => fs.existsSync(lock) && fs.unlinkSync(lock);
  process.once('exit', release);
  return () => {
    process.removeListener('exit', release);
    release();
  };
}

function claim(lock) {
  try {
    fs.writeFileSync(lock, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  }
  const owner = Number(readOrEmpty(lock));
  if (owner > 0 && !isAlive(owner)) fs.unlinkSync(lock);
  return false;
}

function readOrEmpty(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

module.exports = { ensureDependencies, installed };
