'use strict';
// Everything between a fresh clone and a running program: `node setup/setup.cjs COMMAND [ARGUMENT...]` installs the
// dependencies, picks the Node to run with, finds or gets a Redis server, and runs the command with it. Plain
// JavaScript in the syntax of Node 12, so that any Node can start it.

const path = require('path');
const { runChild } = require('./child.cjs');
const { ensureDependencies } = require('./dependencies.cjs');
const { newEnough, pickNode } = require('./node.cjs');
const { ensureRedis } = require('./redis.cjs');
const { tell, trouble } = require('./trouble.cjs');

const root = path.dirname(__dirname);

/** What each command runs (nothing: only the set-up), and whether that needs a Redis server. */
const commands = {
  setup: { redis: true },
  demo: { file: 'cli/main.ts', args: ['demo'], redis: true },
  test: { file: 'setup/check.ts', redis: true },
  'test:long': { file: 'setup/check.ts', args: ['--long'], redis: true },
  bench: { file: 'bench/main.ts', redis: true },
  bundle: { file: 'setup/bundle.ts' },
};

/** Runs one of the commands and resolves with its exit code. */
async function run(name, args, env) {
  const command = Object.hasOwn(commands, name) ? commands[name] : null;
  if (!command) throw trouble(`there is no command "${name}", but ${Object.keys(commands).join(', ')}`);
  const node = await prepare(command, env);
  if (!command.file) return 0;
  return start(node, path.join(root, command.file), (command.args || []).concat(args), env);
}

async function prepare({ redis }, env) {
  await ensureDependencies(root, env);
  const node = pickNode(root, env);
  if (redis) await ensureRedis(env);
  return node;
}

/** The Node comes first on PATH, for what the program starts by name. */
function start(node, file, args, env) {
  const PATH = [path.dirname(node), env.PATH || ''].join(path.delimiter);
  return runChild(node, [file].concat(args), { env: { ...env, PATH } });
}

/** The commands of the CLI that start Redis servers. */
const startingRedis = ['run', 'demo'];

/**
 * For the launchers in bin/: makes this checkout ready, and runs `launcher` again when this Node is too old.
 * @returns {Promise<number | null>} its exit code, or null when this Node will do
 */
async function startCli(launcher, args, env) {
  const node = await prepare({ redis: startingRedis.includes(args[0]) }, env);
  return newEnough(process.version) ? null : start(node, launcher, args, env);
}

module.exports = { startCli };

async function main([name, ...args]) {
  try {
    process.exitCode = await run(name, args, process.env);
  } catch (error) {
    process.exitCode = tell(error);
  }
}

if (require.main === module) void main(process.argv.slice(2));
