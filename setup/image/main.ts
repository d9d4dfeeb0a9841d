import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { Command, Option } from 'commander';
import manifest from '../../package.json' with { type: 'json' };
import { packRedis, packUntradex } from './pack.ts';

/** `npm run image`: the image of the operator, the gateways, the exporter and the CLI. */
const root = dirname(dirname(import.meta.dirname));
const builders = ['docker', 'buildah', 'pack'] as const;
type Builder = (typeof builders)[number];

interface Options {
  readonly tag: string;
  readonly builder?: Builder;
  readonly out: string;
}

const command = new Command('npm run image --')
  .description('Builds the image of Untradex: operator, gateway, exporter and CLI.')
  .option('--tag <name:tag>', 'name of the image', `localhost/untradex:${manifest.version}`)
  .addOption(new Option('--builder <what>', 'what builds; left out: the first that works here').choices([...builders]))
  .option('--out <folder>', 'where packed archives go', join(root, '.untradex', 'images'))
  .addHelpText(
    'after',
    `
docker and buildah build the Dockerfile. pack needs neither and no network: it packs Node, the bundles and this
machine's Redis into archives for a cluster of tests (\`ctr images import FILE\`, \`docker load -i FILE\`).

Examples:
  npm run image
  npm run image -- --tag registry.example.edu/untradex:1.0.0 --builder docker
  npm run image -- --builder pack --out /tmp/images`,
  )
  .action(main);

async function main({ tag, builder = firstBuilder(), out }: Options): Promise<void> {
  if (builder === 'docker') return run('docker', ['build', '--tag', tag, root]);
  if (builder === 'buildah') return run('buildah', ['build', '--tag', tag, root]);
  const redis = await packRedis('localhost/untradex-redis:test', out);
  for (const image of [await packUntradex(tag, manifest.version, out), redis]) {
    console.log(`${image.tag}  ${image.file}`);
  }
}

/** The client alone is not enough: a daemon must answer. */
function firstBuilder(): Builder {
  if (spawnSync('docker', ['info'], { stdio: 'ignore', timeout: 10_000 }).status === 0) return 'docker';
  if (spawnSync('buildah', ['--version'], { stdio: 'ignore', timeout: 10_000 }).status === 0) return 'buildah';
  return 'pack';
}

function run(program: string, args: readonly string[]): void {
  const { status, error } = spawnSync(program, args, { stdio: 'inherit' });
  if (error) throw error;
  process.exitCode = status ?? 1;
}

try {
  await command.parseAsync();
} catch (error) {
  console.error(`image: ${(error as Error).message}`);
  process.exitCode = 1;
}
