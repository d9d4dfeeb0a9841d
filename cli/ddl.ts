import { type Command, Option } from 'commander';
import { tableOf } from '#exporter/attempt.ts';
import { tableFault } from '#exporter/sinks/oracle/config.ts';
import { type DdlPlace, ddlScript } from '#exporter/sinks/oracle/ddl.ts';
import { problem } from '#queue/problem.ts';
import { examples } from './examples.ts';
import { line } from './output.ts';

interface Options {
  readonly user: string;
  readonly schema?: string;
  readonly table: string;
  readonly rehearsal?: boolean;
  readonly tablespace?: string;
  readonly partition: DdlPlace['partition'];
  readonly nologging?: boolean;
}

/** `untradex ddl`: the statements that make tables and grants, for administrators who run them themselves. */
export function registerDdl(program: Command): void {
  const ddl = program
    .command('ddl')
    .summary("print a database's tables and grants")
    .description('Prints the statements that make the tables and grants of an export, for whoever runs them by hand.');
  const oracle = ddl
    .command('oracle')
    .description('Prints what an export into Oracle needs: SQL to read, change and run. Connects to nothing.')
    .requiredOption('--user <user>', "the exporter's user, who owns what is known of exports")
    .option('--schema <owner>', 'the owner of the table, where it is another one')
    .option('--table <table>', 'the table, as in spec.export.table', 'EXAM_ANSWERS')
    .option('--rehearsal', "the table of rehearsals' rows, beside it")
    .option('--tablespace <name>', 'where the tables go; left out: where their owner’s go')
    .addOption(
      new Option('--partition <kind>', 'by exam, or by month').choices(['None', 'List', 'Interval']).default('None'),
    )
    .option('--nologging', 'a table whose rows are in no redo: back it up after every export')
    .action((options: Options) => print(options));
  examples(oracle, [
    'untradex ddl oracle --user untradex',
    'untradex ddl oracle --user untradex --schema exams --partition List --tablespace exam_data > exams.sql',
  ]);
}

function print({ user, schema = user, table, rehearsal = false, tablespace, partition, nologging }: Options): void {
  const full = tableOf(table, rehearsal);
  const fault = tableFault(full);
  if (fault !== null) throw problem('usage', `--table: ${fault}`, 'name another table');
  const place = {
    user: nameOf('--user', user),
    owner: nameOf('--schema', schema),
    table: full,
    tablespace: tablespace === undefined ? null : nameOf('--tablespace', tablespace),
    partition,
    targetLogging: nologging ? 'NoLogging' : 'Logging',
  } as const;
  for (const { heading, statements } of ddlScript(place)) {
    line(`-- ${heading}`);
    for (const statement of statements) line(`${statement};`);
    line('');
  }
}

/** In capitals, as Oracle takes a name without quotes, and as the exporter's configuration does. */
function nameOf(option: string, name: string): string {
  if (/^[A-Za-z][A-Za-z0-9_$#]{0,127}$/.test(name)) return name.toUpperCase();
  throw problem('usage', `${option}: ${name} is no name without quotes`, 'use letters, digits, _, $ and #');
}
