'use strict';
const fs = require('fs');
const path = require('path');
const { ensureDependencies } = require('./dependencies.cjs');
const { newEnough, pickNode, runNode } = require('./node.cjs');
const { ensureRedis } = require('./redis.cjs');
const { tell } = require('./trouble.cjs');

const root = path.dirname(__dirname);

/** The commands of the CLI that start Redis servers. */
const startingRedis = ['run', 'demo'];

/**
 * For the launchers in bin/: finds the CLI, as TypeScript in a checkout (which is made ready first), as a bundle in an
 * installed package. Is this Node too old, the launcher is run again with a newer one.
 * @returns {Promise<string | null>} the file to import, or null when everything is done and the exit code is set
 */
async function launch([, launcher, ...args], env) {
  const source = path.join(root, 'cli', 'main.ts');
  const checkout = fs.existsSync(source);
  const redis = startingRedis.includes(args[0]) && !args.includes('--help') && !args.includes('-h');
  try {
    if (checkout) await ensureDependencies(root, env);
    if (redis) await ensureRedis(env);
    if (newEnough(process.version)) return checkout ? source : path.join(root, 'dist', 'untradex.mjs');
    process.exitCode = await runNode(pickNode(root, env), [launcher].concat(args), env);
  } catch (error) {
    process.exitCode = tell(error);
  }
  return null;
}

module.exports = { launch };
