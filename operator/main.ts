import { parseArgs } from 'node:util';
import { isProblem } from '#queue/problem.ts';
import { exampleConfig, type OperatorConfig, readOperatorConfigFile } from './kubernetes/config.ts';
import { startOperator } from './kubernetes/operator.ts';

const help = `Looks after every ExamSession of a cluster.

  node operator.mjs --config FILE

  --config FILE   the configuration, YAML
  --help          this

The cluster is the one that the pod is in, or that KUBECONFIG names. POD_NAME and POD_NAMESPACE say who this candidate
for the Lease is. On SIGTERM it ends its work, gives the Lease back, and exits 0; when it loses the Lease it exits 1 at
once, to be started again as a standby. The smallest configuration:

${exampleConfig.replaceAll(/^/gm, '  ').trimEnd()}
`;

/** After a signal: then something hangs that should not. Kubernetes kills after 30 s. */
const endMs = 25_000;

function readArguments(): OperatorConfig {
  try {
    const { values } = parseArgs({ options: { config: { type: 'string' }, help: { type: 'boolean' } } });
    if (values.help) {
      process.stdout.write(help);
      process.exit(0);
    }
    if (values.config !== undefined) return readOperatorConfigFile(values.config);
    console.error('--config FILE is missing; see --help');
  } catch (error) {
    console.error(isProblem(error) ? `${error.message}\nWhat to do: ${error.remedy}` : (error as Error).message);
  }
  process.exit(1);
}

const operator = await startOperator(readArguments(), {
  onLost: () => process.exit(1),
  onFatal: () => process.exit(1),
});
let isEnding = false;
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    if (isEnding) process.exit(1);
    isEnding = true;
    setTimeout(() => process.exit(1), endMs).unref();
    operator.stop(signal).then(
      () => process.exit(0),
      () => process.exit(1),
    );
  });
}
