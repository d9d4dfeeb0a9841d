'use strict';
// Gets programs on Debian and its kin without installing them: packages of servers would start a daemon, so they are
// only downloaded and unpacked, with the libraries that this machine lacks. Works as root and as anybody else, and
// leaves the system's lists and packages as they are.

const fs = require('fs');
const path = require('path');
const { output, removeFolder } = require('./command.cjs');

const patience = { timeoutMs: 300000 };

/**
 * Unpacks packages into the folder `build`, and writes what starts their programs into `build`/bin.
 * @param {string} work an empty folder for lists, caches and packages
 * @param {(apt: object) => Promise<{packages: string[], programs: string[]}>} choose says what is wanted, from what
 *   `apt` knows: `candidate(name)` and `added(name)`. Programs are paths below the root, known after unpacking; with
 *   another name for the starter where it is to have one: `usr/sbin/iptables-nft as iptables`.
 */
async function unpack(build, work, choose) {
  const debs = path.join(work, 'debs');
  const options = commonOptions(work);
  let chosen;
  try {
    chosen = await download(options, debs, choose);
  } catch {
    // The system has no lists, or such old ones that the mirrors have gone on.
    const lists = path.join(work, 'lists');
    fs.mkdirSync(path.join(lists, 'partial'), { recursive: true });
    const own = options.concat('-o', `Dir::State::lists=${lists}`);
    await output('apt-get', own.concat('update'), patience);
    // Without a network that is only a warning.
    if (!fs.readdirSync(lists).some((name) => name.endsWith('Release'))) throw new Error('apt-get has no network');
    chosen = await download(own, debs, choose);
  }
  const root = path.join(build, 'unpacked');
  fs.mkdirSync(root, { recursive: true });
  for (const deb of fs.readdirSync(debs)) await output('dpkg-deb', ['-x', path.join(debs, deb), root]);
  writeStarters(build, chosen.programs);
}

function commonOptions(work) {
  const cache = path.join(work, 'cache');
  fs.mkdirSync(path.join(cache, 'archives', 'partial'), { recursive: true });
  const options = [`Dir::Cache=${cache}`, 'Acquire::http::Timeout=20', 'Acquire::Retries=2'];
  // As root apt downloads as the user _apt, who may not write into somebody's home folder.
  if (process.getuid() === 0) options.push('APT::Sandbox::User=root');
  return ['-q'].concat(...options.map((option) => ['-o', option]));
}

/** Downloads what is chosen into the folder `debs`. */
async function download(options, debs, choose) {
  const chosen = await choose({
    candidate: (name) => candidate(options, name),
    added: (name) => added(options, name),
  });
  removeFolder(debs);
  fs.mkdirSync(debs);
  await output('apt-get', options.concat('download', chosen.packages), { cwd: debs, ...patience });
  return chosen;
}

/** The version that apt would install, without its epoch; null when it knows none. */
async function candidate(options, name) {
  const policy = await output('apt-cache', options.concat('policy', name));
  const match = /Candidate: (?:\d+:)?(\d\S*)/.exec(policy);
  return match && match[1];
}

/**
 * What installing a package would add to this machine. What it would only upgrade is left out: a newer libc beside
 * the system's loader does not work.
 */
async function added(options, name) {
  const simulated = ['--simulate', '--no-install-recommends', 'install', name];
  const plan = await output('apt-get', options.concat(simulated));
  const lines = plan.split('\n').map((line) => /^Inst (\S+) \(/.exec(line));
  return lines.filter(Boolean).map((match) => match[1]);
}

/** Writes what starts the unpacked programs: it finds the libraries, and `exec` keeps the pid. */
function writeStarters(build, programs) {
  const bin = path.join(build, 'bin');
  fs.mkdirSync(bin);
  const libraries = libraryFolders(path.join(build, 'unpacked')).map((folder) => path.relative(build, folder));
  for (const wanted of programs) {
    const [told, name = path.basename(told)] = wanted.split(' as ');
    // Newer releases have everything below usr.
    const program = fs.existsSync(path.join(build, 'unpacked', told)) ? told : `usr/${told}`;
    const lines = [
      '#!/bin/sh',
      `# Starts the ${name} that was unpacked beside it.`,
      'here=$(cd "$(dirname "$0")/.." && pwd) || exit 1',
      `LD_LIBRARY_PATH="${libraries.map((folder) => `$here/${folder}`).join(':')}" exec "$here/unpacked/${program}" "$@"`,
    ];
    fs.writeFileSync(path.join(bin, name), `${lines.join('\n')}\n`, { mode: 0o755 });
  }
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

module.exports = { unpack };
