import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { RehearsalResult } from '#cli/rehearsal.ts';
import { tmpFolder } from '#test/support/tmp.ts';
import { runCli, startCli } from './cli.ts';

const students = 4_000;
const session = `apiVersion: untradex.io/v1alpha1
kind: ExamSession
metadata: {name: algebra}
spec: {students: ${students}, rehearsal: true, redis: {shards: 2}, gateway: {replicas: 2}}
`;

test('4,000 students at once, 25 answers each and Finish, two gateways and two Redis killed: nothing lost, nothing twice, in order', {
  timeout: 400_000,
}, async () => {
  const folder = tmpFolder('rehearse');
  const [file, data, ledger] = ['session.yaml', 'data', 'ledger.ndjson'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  writeFileSync(file, session);
  const run = startCli(['run', '-f', file, '--data', data, '--port', '0', '--json']);
  await run.line(({ phase }) => phase === 'Active', 'Active', 30_000);
  const size = ['--students', String(students), '--seconds', '45', '--events', '25', '--kills', '4'];
  const rehearsed = await runCli(
    ['rehearse', 'algebra', '--data', data, ...size, '--ledger', ledger, '--json'],
    200_000,
  );
  expect(rehearsed.code, rehearsed.stderr + rehearsed.stdout).toBe(0);
  const result = JSON.parse(rehearsed.stdout) as RehearsalResult;
  expect(result).toMatchObject({ connectedPeak: students, acknowledged: students * 25, finished: students, kills: 4 });
  expect(result.killed.filter(({ target }) => target === 'gateway')).toHaveLength(2);
  console.log(`acknowledged in p50 ${result.ackMs.p50} ms, p99 ${result.ackMs.p99} ms, at most ${result.ackMs.max} ms`);
  const finalized = await runCli(['finalize', 'algebra', '--data', data, '--wait', '--timeout', '2m'], 130_000);
  expect(finalized.code, finalized.stderr).toBe(0);
  expect(await run.ended(60_000)).toEqual({ code: 0, signal: null });
  const verified = await runCli(['verify', 'algebra', '--data', data, '--ledger', ledger, '--json'], 60_000);
  expect(verified.code, verified.stdout + verified.stderr).toBe(0);
  const nothing = { missing: 0, duplicated: 0, outOfOrder: 0, wrongBytes: 0 };
  expect(JSON.parse(verified.stdout)).toMatchObject({
    verified: true,
    ledger: { acknowledged: students * 25, ...nothing },
  });
});
