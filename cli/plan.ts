import type { Command } from 'commander';
import { type Capacity, capacityOf, quantity } from '#operator/capacity.ts';
import { type ExamSession, readExamSession } from '#operator/examsession.ts';
import { defaultSettings } from '#operator/settings.ts';
import { examples } from './examples.ts';
import { readGivenFile } from './folder.ts';
import { count, json, line, paint, section } from './output.ts';
import { wholeNumber } from './wholenumber.ts';

interface Options {
  readonly file: string;
  readonly students?: number;
  readonly json?: true;
}

/** `untradex plan`: what a session will need, and why, before anything is started. */
export function registerPlan(program: Command): void {
  const command = program
    .command('plan')
    .summary('show what a session needs, and why')
    .description('Shows what a session needs (gateways, shards, memory, storage) and the arithmetic behind it.')
    .requiredOption('-f, --file <file>', 'the session file')
    .option('--students <n>', 'plan for so many instead', wholeNumber(1, 1_000_000))
    .option('--json', 'print it as JSON')
    .action(plan);
  examples(command, ['untradex plan -f session.yaml', 'untradex plan -f session.yaml --students 100000 --json']);
  command.addHelpText('after', smallSession);
}

/** The remedy of a broken session file points here. */
const smallSession = `
The smallest session:
  apiVersion: untradex.io/v1alpha1
  kind: ExamSession
  metadata:
    name: algebra
  spec:
    students: 4000`;

function plan({ file, students, json: asJson }: Options): void {
  const session = readExamSession(readGivenFile(file, '-f'));
  const spec = { ...session.spec, ...(students === undefined ? {} : { students }) };
  const capacity = capacityOf(spec, null, defaultSettings.capacity);
  if (asJson) json({ name: session.metadata.name, students: spec.students, ...capacity });
  else show(session, spec.students, capacity);
}

function show(session: ExamSession, students: number, { replicas, shards, gateway, redis, ...all }: Capacity): void {
  line(`${paint('bold', session.metadata.name)}  ${count(students)} students`);
  line();
  section('Needs', [
    ['gateways', `${replicas}, each ${gateway.cpu} core, ${quantity(gateway.memoryBytes)}`],
    [
      'shards',
      `${shards}, each ${redis.cpu} core, ${quantity(redis.memoryBytes)}, ${quantity(redis.storageBytes)} of storage`,
    ],
    ['in all', `${all.cpu} cores, ${quantity(all.memoryBytes)} of memory, ${quantity(all.storageBytes)} of storage`],
  ]);
  line();
  line(paint('bold', 'Why'));
  for (const reason of all.why) line(`  ${reason}`);
}
