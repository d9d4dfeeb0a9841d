'use strict';
// node verdict.cjs KIND:EXITCODE:FILE... — reads what each step reported, prints what was wrong, then the sum as the
// last line. Exit code 1 when anything failed, or nothing ran.

const fs = require('fs');
const { countTests, inWords } = require('../setup/testcount.cjs');

const demoKills = 3;

/** What a step's JSON report says; null when there is none. */
function reportIn(file) {
  return fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, 'utf8')) : null;
}

/** A run that failed without a failed test (types, lint, a crash) counts as one failed, and so does an empty one. */
function judgeTests(exitCode, report) {
  const counts = report === null ? { passed: 0, failed: 0, skipped: 0 } : countTests(report);
  const ran = counts.passed + counts.failed > 0;
  if (counts.failed === 0 && (exitCode !== 0 || !ran)) counts.failed = 1;
  return { counts, complaints: ran ? [] : ['no test ran'] };
}

/** The demo is one test: it passed when it says so, and its numbers agree. */
function judgeDemo(exitCode, report) {
  const complaints = [];
  const expect = (name, good) => {
    if (!good(report[name])) complaints.push(`${name} is ${JSON.stringify(report[name])}`);
  };
  if (exitCode !== 0) complaints.push(`it ended with ${exitCode}`);
  if (report === null) complaints.push('it wrote no JSON');
  else {
    expect('missing', (missing) => missing === 0);
    expect('duplicated', (duplicated) => duplicated === 0);
    expect('outOfOrder', (outOfOrder) => outOfOrder === 0);
    expect('verified', (verified) => verified === true);
    expect('kills', (kills) => kills === demoKills);
    expect('acknowledged', (acknowledged) => acknowledged > 0);
    expect('exported', (exported) => exported >= report.acknowledged);
  }
  const passed = complaints.length === 0;
  return { counts: { passed: passed ? 1 : 0, failed: passed ? 0 : 1, skipped: 0 }, complaints };
}

const judges = { tests: judgeTests, demo: judgeDemo };
const sum = { passed: 0, failed: 0, skipped: 0 };
for (const step of process.argv.slice(2)) {
  const [kind, exitCode, ...file] = step.split(':');
  const { counts, complaints } = judges[kind](Number(exitCode), reportIn(file.join(':')));
  console.log([`== ${kind} ended, ${inWords(counts)}`].concat(complaints).join('; '));
  for (const key of Object.keys(sum)) sum[key] += counts[key];
}
console.log(inWords(sum));
process.exitCode = sum.failed > 0 || sum.passed === 0 ? 1 : 0;
