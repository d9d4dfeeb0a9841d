'use strict';
// Everything between a fresh clone and a running program: `node setup/setup.cjs COMMAND [ARGUMENT...]` installs the
// dependencies, picks the Node to run with, finds or gets the servers that are needed, and runs the command with it.
// Plain JavaScript in the syntax of Node 12, so that any Node can start it.

const path = require('path');
const { ensureCluster } = require('./cluster.cjs');
const { ensureDependencies } = require('./dependencies.cjs');
const { pickNode, runNode } = require('./node.cjs');
const { ensurePostgres } = require('./postgres.cjs');
const { ensureRedis } = require('./redis.cjs');
const { tell, trouble } = require('./trouble.cjs');

const root = path.dirname(__dirname);

/** What each command runs (nothing: only the set-up), and which servers that needs. */
const commands = {
  setup: { redis: true, postgres: true },
  demo: { file: 'cli/main.ts', args: ['demo'], redis: true },
  test: { file: 'setup/check.ts', redis: true, postgres: true },
  'test:long': { file: 'setup/check.ts', args: ['--long'], redis: true, postgres: true },
  'test:cluster': { file: 'setup/check.ts', args: ['--cluster'], redis: true, cluster: true },
  bench: { file: 'bench/main.ts', redis: true },
  crds: { file: 'crds/generate.ts' },
  bundle: { file: 'setup/bundle.ts' },
  image: { file: 'setup/image/main.ts', redis: true },
};

/** Runs one of the commands and resolves with its exit code. */
async function run(name, args, env) {
  const command = Object.keys(commands).includes(name) ? commands[name] : null;
  if (!command) throw trouble(`there is no command "${name}", but ${Object.keys(commands).join(', ')}`);
  await ensureDependencies(root, env);
  const node = pickNode(root, env);
  if (command.redis) await ensureRedis(env);
  if (command.postgres) await ensurePostgres(env);
  if (command.cluster) await ensureCluster(env);
  if (!command.file) return 0;
  return runNode(node, [path.join(root, command.file)].concat(command.args || [], args), env);
}

async function main([name, ...args]) {
  try {
    process.exitCode = await run(name, args, process.env);
  } catch (error) {
    process.exitCode = tell(error);
  }
}

void main(process.argv.slice(2));
