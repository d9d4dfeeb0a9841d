'use strict';
const fs = require('fs');
const path = require('path');
const { unpack } = require('./apt.cjs');
const { removeFolder } = require('./command.cjs');

const abandonedAfterMs = 24 * 3600 * 1000;

/**
 * Gets programs with apt-get into the cache, as the folder `NAME-VERSION` with their starters in `bin`. Set-ups at
 * once do not disturb each other, and one that was killed leaves nothing that lasts.
 * @param {(apt: object) => Promise<{packages: string[], programs: string[]}>} choose as for `unpack`
 * @param {(bin: string) => Promise<{version: string} | string>} ask what the programs in a folder are, or why they
 *   are not what is wanted
 * @returns {Promise<string>} the folder with the starters
 */
async function cachedBuild({ cache, name, choose, ask }) {
  const temporary = `.${name}-`;
  fs.mkdirSync(cache, { recursive: true });
  removeAbandoned(cache, temporary);
  const work = fs.mkdtempSync(path.join(cache, temporary));
  const remove = () => removeFolder(work);
  process.once('exit', remove);
  try {
    const build = path.join(work, 'build');
    await unpack(build, work, choose);
    const server = await ask(path.join(build, 'bin'));
    if (typeof server === 'string') throw new Error(`the unpacked server ${server}`);
    const kept = await keep(build, path.join(cache, `${name}-${server.version}`), work, ask);
    return path.join(kept, 'bin');
  } finally {
    process.removeListener('exit', remove);
    remove();
  }
}

/** Work folders of set-ups that were killed. */
function removeAbandoned(cache, temporary) {
  for (const name of fs.readdirSync(cache)) {
    const folder = path.join(cache, name);
    const old = name.startsWith(temporary) && Date.now() - fs.statSync(folder).mtimeMs > abandonedAfterMs;
    if (old) removeFolder(folder);
  }
}

/** Moves a finished build to its place, in one step: another set-up may do the same now, and the first one stays. */
async function keep(build, place, work, ask) {
  for (const lastTry of [false, true]) {
    try {
      fs.renameSync(build, place);
      return place;
    } catch (error) {
      if (lastTry || !['EEXIST', 'ENOTEMPTY'].includes(error.code)) throw error;
    }
    if (typeof (await ask(path.join(place, 'bin'))) !== 'string') return place;
    fs.renameSync(place, path.join(work, 'broken'));
  }
}

module.exports = { cachedBuild };
