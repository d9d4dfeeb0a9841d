import type { Command } from 'commander';
import { type Capacity, capacityOf, quantity } from '#operator/capacity.ts';
import { type ExamSession, readExamSession } from '#operator/examsession.ts';
import { defaultSettings } from '#operator/settings.ts';
import { problem } from '#queue/problem.ts';
import { examples } from './examples.ts';
import { readGivenFile } from './folder.ts';
import { isJson, type JsonOptions, jsonOption } from './jsonoption.ts';
import { count, json, line, paint, section } from './output.ts';
import { openPlace, type PlaceOptions, placeOptions } from './place.ts';
import { wholeNumber } from './wholenumber.ts';

interface Options extends PlaceOptions, JsonOptions {
  readonly file?: string;
  readonly students?: number;
}

/** `untradex plan`: what a session will need, and why, before anything is started. */
export function registerPlan(program: Command): void {
  const command = placeOptions(program.command('plan'))
    .summary('show what a session needs, and why')
    .description(
      'Shows what a session needs (gateways, shards, memory, storage) and the arithmetic behind it: that of a file, or ' +
        'of a session that is there, whose number of shards stays as it is.',
    )
    .argument('[name]', 'the session; the only one there when left out')
    .option('-f, --file <file>', 'the session file, instead of a session that is there')
    .option('--students <n>', 'plan for so many instead', wholeNumber(1, 1_000_000));
  jsonOption(command, 'print it as JSON').action(plan);
  examples(command, [
    'untradex plan -f session.yaml',
    'untradex plan -f session.yaml --students 100000 --json',
    'kubectl untradex plan -f session.yaml',
    'kubectl untradex plan algebra -n maths --students 6000',
  ]);
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

async function plan(name: string | undefined, options: Options): Promise<void> {
  const { session, shards } = await planned(name, options);
  const { students = session.spec.students } = options;
  const capacity = capacityOf({ ...session.spec, students }, shards, defaultSettings.capacity);
  if (isJson(options)) json({ name: session.metadata.name, students, ...capacity });
  else show(session, students, capacity);
}

/** @returns the session, and how many shards it has already; null for none */
async function planned(
  name: string | undefined,
  options: Options,
): Promise<{ session: ExamSession; shards: number | null }> {
  if (options.file === undefined) {
    const { session, readStatus } = await openPlace(options, name);
    return { session, shards: (await readStatus())?.plan.shards ?? null };
  }
  if (name !== undefined) throw problem('usage', 'it is a file or a session', 'give -f FILE or NAME, not both');
  return { session: readExamSession(readGivenFile(options.file, '-f')), shards: null };
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
