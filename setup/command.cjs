'use strict';
const { execFile } = require('child_process');
const fs = require('fs');
const path = require('path');

/** Where a program lies on PATH, or null. */
function onPath(program, env) {
  const files = (env.PATH || '').split(path.delimiter).map((folder) => path.join(folder || '.', program));
  return files.find((file) => fs.existsSync(file)) || null;
}

/**
 * Runs a program to its end and resolves with its stdout. Its messages are English, so that they can be read.
 * Rejects with the last line of its stderr when it fails, or takes longer than `timeoutMs` (60,000).
 */
function output(program, args, options = {}) {
  const { cwd, timeoutMs = 60000 } = options;
  const env = { ...process.env, LC_ALL: 'C', LANGUAGE: 'C' };
  return new Promise((resolve, reject) => {
    const settings = { cwd, env, timeout: timeoutMs, maxBuffer: 64 * 1024 * 1024 };
    execFile(program, args, settings, (error, stdout, stderr) => {
      if (!error) return resolve(stdout);
      const why = error.killed ? `took longer than ${timeoutMs / 1000} s` : lastLine(stderr) || error.message;
      return reject(new Error(`${path.basename(program)} ${why}`));
    });
  });
}

function lastLine(text) {
  return String(text).trim().split('\n').pop();
}

/** Removes a folder and what is in it, on Node 12 as well. */
function removeFolder(folder) {
  if (fs.existsSync(folder)) (fs.rmSync || fs.rmdirSync)(folder, { recursive: true });
}

module.exports = { onPath, output, removeFolder };
