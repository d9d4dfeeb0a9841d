import { Command } from 'commander';
import { version } from '#exporter/version.ts';
import { completionLines, isCompletion } from './completion.ts';
import { registerDdl } from './ddl.ts';
import { registerDemo } from './demo.ts';
import { fail } from './failure.ts';
import { registerFinalize } from './finalize.ts';
import { registerLogs } from './logs.ts';
import { forgiveClosedOutput, line } from './output.ts';
import { registerPause } from './pause.ts';
import { registerPlan } from './plan.ts';
import { programName } from './plugin.ts';
import { registerRehearse } from './rehearse.ts';
import { registerReport } from './report.ts';
import { registerRun } from './run.ts';
import { registerStatus } from './status.ts';
import { registerSupportBundle } from './supportbundle.ts';
import { registerToken } from './token.ts';
import { registerVerify } from './verify.ts';

const program = new Command(programName())
  .description('Online exams at full speed: every acknowledged answer is kept, exported exactly once, and proved.')
  .version(version)
  .exitOverride()
  .configureOutput({ outputError: () => {} });

forgiveClosedOutput();
registerDdl(program);
registerDemo(program);
registerRun(program);
registerRehearse(program);
registerPlan(program);
registerStatus(program);
registerFinalize(program);
registerVerify(program);
registerReport(program);
registerToken(program);
registerPause(program);
registerLogs(program);
registerSupportBundle(program);
try {
  if (isCompletion()) for (const text of await completionLines(program, process.argv.slice(2))) line(text);
  else await program.parseAsync();
} catch (error) {
  fail(error, program.args[0]);
}
