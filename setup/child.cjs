'use strict';
const { spawn } = require('child_process');
const os = require('os');

/** A terminal and npm both deliver one Ctrl-C, so what comes within this time is one wish. */
const sameWishMs = 1000;
/** A child that was told to stop and has not by then is killed. */
const stopWithinMs = 60000;

/**
 * Runs a program until it ends and resolves with the exit code (128 + N when signal N ended it).
 *
 * The child leads a process group of its own, so that a terminal's Ctrl-C reaches it once, through us; whatever of
 * its group is left when it has ended is killed. Over the IPC channel it notices when we are killed.
 */
function runChild(program, args, options) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['inherit', 'inherit', 'inherit', 'ipc'], ...options, detached: true });
    const release = forwardSignals(child);
    child.on('error', (error) => {
      release();
      reject(error);
    });
    child.on('exit', (code, signal) => {
      release();
      signalGroup(child.pid, 'SIGKILL');
      resolve(signal ? 128 + os.constants.signals[signal] : code);
    });
  });
}

function forwardSignals(child) {
  let last = -sameWishMs;
  let killer = null;
  const stop = (signal) => {
    if (Date.now() - last < sameWishMs) return;
    last = Date.now();
    // A terminal that is gone (SIGHUP) asks for an orderly end.
    child.kill(signal === 'SIGHUP' ? 'SIGTERM' : signal);
    killer = killer || setTimeout(() => signalGroup(child.pid, 'SIGKILL'), stopWithinMs);
  };
  const resize = () => child.kill('SIGWINCH');
  const handlers = [
    ['SIGINT', stop],
    ['SIGTERM', stop],
    ['SIGHUP', stop],
    ['SIGWINCH', resize],
  ];
  for (const [signal, handler] of handlers) process.on(signal, handler);
  return () => {
    clearTimeout(killer);
    for (const [signal, handler] of handlers) process.removeListener(signal, handler);
  };
}

function signalGroup(pid, signal) {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

module.exports = { runChild };
