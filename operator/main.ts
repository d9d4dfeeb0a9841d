import { parseArgs } from 'node:util';
import { isProblem } from '#queue/problem.ts';
import type { OperatorConfig } from './kubernetes/config.ts';
import type { Operator } from './kubernetes/operator.ts';

const help = (exampleConfig: string) => `Looks after every ExamSession of a cluster.

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

async function readArguments(): Promise<OperatorConfig> {
  const { exampleConfig, readOperatorConfigFile } = await import('./kubernetes/config.ts');
  try {
    const { values } = parseArgs({ options: { config: { type: 'string' }, help: { type: 'boolean' } } });
    if (values.help) {
      process.stdout.write(help(exampleConfig));
      process.exit(0);
    }
    if (values.config !== undefined) return readOperatorConfigFile(values.config);
    console.error('--config FILE is missing; see --help');
  } catch (error) {
    console.error(isProblem(error) ? `${error.message}\nWhat to do: ${error.remedy}` : (error as Error).message);
  }
  process.exit(1);
}

let operator: Operator | null = null;
let isEnding = false;

/** Before it has begun it has nothing to give back. */
function end(signal: string): void {
  if (isEnding || operator === null) process.exit(isEnding ? 1 : 0);
  isEnding = true;
  setTimeout(() => process.exit(1), endMs).unref();
  operator.stop(signal).then(
    () => process.exit(0),
    () => process.exit(1),
  );
}

// Before anything is loaded: the first process of a container does not even notice a signal that nobody listens for, and
// would lead on until it is killed, with its Lease in its hand.
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, end);

const { startOperator } = await import('./kubernetes/operator.ts');
operator = await startOperator(await readArguments(), {
  onLost: () => process.exit(1),
  onFatal: () => process.exit(1),
});
