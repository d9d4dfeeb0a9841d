'use strict';
// Gets a Redis or Valkey server on Debian and its kin without installing it: the package would start a daemon, so it
// is only downloaded and unpacked, with the libraries that this machine lacks. Works as root and as anybody else, and
// leaves the system's lists and packages as they are.

const fs = require('fs');
const path = require('path');
const { output, removeFolder } = require('./command.cjs');
const { oldestMajor } = require('./findredis.cjs');

const servers = ['redis-server', 'valkey-server'];
const patience = { timeoutMs: 300000 };

/**
 * Unpacks a server into the folder `build`.
 * @param {string} work an empty folder for lists, caches and packages
 * @returns {Promise<string>} the program in `build` that starts it
 */
async function unpackServer(build, work) {
  const debs = path.join(work, 'debs');
  const options = commonOptions(work);
  let server;
  try {
    server = await download(options, debs);
  } catch {
    // The system has no lists, or such old ones that the mirrors have gone on.
    const lists = path.join(work, 'lists');
    fs.mkdirSync(path.join(lists, 'partial'), { recursive: true });
    const own = options.concat('-o', `Dir::State::lists=${lists}`);
    await output('apt-get', own.concat('update'), patience);
    // Without a network that is only a warning.
    if (!fs.readdirSync(lists).some((name) => name.endsWith('Release'))) throw new Error('apt-get has no network');
    server = await download(own, debs);
  }
  const root = path.join(build, 'root');
  fs.mkdirSync(root, { recursive: true });
  for (const deb of fs.readdirSync(debs)) await output('dpkg-deb', ['-x', path.join(debs, deb), root]);
  return writeStarter(build, server);
}

function commonOptions(work) {
  const cache = path.join(work, 'cache');
  fs.mkdirSync(path.join(cache, 'archives', 'partial'), { recursive: true });
  const options = [`Dir::Cache=${cache}`, 'Acquire::http::Timeout=20', 'Acquire::Retries=2'];
  // As root apt downloads as the user _apt, who may not write into somebody's home folder.
  if (process.getuid() === 0) options.push('APT::Sandbox::User=root');
  return ['-q'].concat(...options.map((option) => ['-o', option]));
}

/** Downloads a server's package and what it needs into the folder `debs`; returns the server's name. */
async function download(options, debs) {
  const server = await newEnough(options);
  removeFolder(debs);
  fs.mkdirSync(debs);
  const packages = await missingPackages(options, server);
  await output('apt-get', options.concat('download', packages), { cwd: debs, ...patience });
  return server;
}

async function newEnough(options) {
  for (const server of servers) {
    const policy = await output('apt-cache', options.concat('policy', server));
    const match = /Candidate: (?:\d+:)?(\d+)\./.exec(policy);
    if (match && Number(match[1]) >= oldestMajor) return server;
  }
  throw new Error(`apt-get knows no ${servers.join(' or ')} of version ${oldestMajor} or newer`);
}

/**
 * What installing the server would add to this machine. What it would only upgrade is left out: a newer libc beside
 * the system's loader does not work. The tools hold the program itself, so they come along also when they are there.
 */
async function missingPackages(options, server) {
  const simulated = ['--simulate', '--no-install-recommends', 'install', server];
  const plan = await output('apt-get', options.concat(simulated));
  const added = plan.split('\n').map((line) => /^Inst (\S+) \(/.exec(line));
  const names = added.filter(Boolean).map((match) => match[1]);
  return Array.from(new Set([server, server.replace('-server', '-tools')].concat(names)));
}

/** Writes the program that starts the unpacked server: it finds the libraries, and `exec` keeps the pid. */
function writeStarter(build, server) {
  const bin = path.join(build, 'bin');
  fs.mkdirSync(bin);
  const libraries = libraryFolders(path.join(build, 'root')).map((folder) => path.relative(build, folder));
  const lines = [
    '#!/bin/sh',
    `# Starts the ${server} that was unpacked beside it.`,
    'here=$(cd "$(dirname "$0")/.." && pwd) || exit 1',
    `LD_LIBRARY_PATH="${libraries.map((folder) => `$here/${folder}`).join(':')}" exec "$here/root/usr/bin/${server}" "$@"`,
  ];
  const starter = path.join(bin, server);
  fs.writeFileSync(starter, `${lines.join('\n')}\n`, { mode: 0o755 });
  return starter;
}

/** Every folder below `root` that holds a shared library. */
function libraryFolders(root) {
  const found = [];
  for (const entry of fs.readdirSync(root, { withFileTypes: true })) {
    const inside = path.join(root, entry.name);
    if (entry.isDirectory()) found.push(...libraryFolders(inside));
    else if (/\.so(\.|$)/.test(entry.name) && !found.includes(root)) found.push(root);
  }
  return found;
}

module.exports = { unpackServer };
