'use strict';

/** An error whose message is one line for a person, who needs no stack: what is wrong and what to do. */
function trouble(message) {
  return Object.assign(new Error(message), { forPerson: true });
}

/** Prints one line of progress. On stderr: stdout belongs to the program that is being started. */
function say(line) {
  process.stderr.write(`untradex set-up: ${line}\n`);
}

/** Prints why the set-up failed, and returns the exit code. */
function tell(error) {
  say(error.forPerson ? error.message : error.stack || String(error));
  return 1;
}

module.exports = { trouble, say, tell };
