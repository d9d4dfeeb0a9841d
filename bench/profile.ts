import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { applyLoad, gatewayTarget } from './ingest.ts';
import { startGateway, startShard } from './stack.ts';

/** Where the gateway's CPU goes, by the function that ran: shares of its busy time, largest first. */
export interface ProfileResult {
  readonly connections: number;
  readonly inFlight: number;
  readonly shares: readonly { readonly what: string; readonly share: number }[];
}

/** The parts of a .cpuprofile (V8's format) that are used. Times in microseconds. */
interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** Samples of the process itself that are not work. */
const idle = new Set(['(idle)', '(root)']);

/** Runs a gateway under V8's sampling profiler and a closed loop of load. The profile includes start and connecting. */
export async function profileGateway(
  folder: string,
  load: { readonly connections: number; readonly inFlight: number; readonly seconds: number },
): Promise<ProfileResult> {
  const profiles = join(folder, `profile-${load.connections}-${load.inFlight}`);
  mkdirSync(profiles);
  const shard = await startShard(folder, 0);
  const gateway = await startGateway(folder, 0, shard, ['--cpu-prof', `--cpu-prof-dir=${profiles}`]);
  try {
    const target = await gatewayTarget(gateway, load.connections);
    await applyLoad(folder, target, { ...load, bundled: true, eventsPerSecond: 0 }, {});
    // Ended by a drain, so that the profile is written.
    process.kill(gateway.pid, 'SIGTERM');
    await gateway.exited;
  } finally {
    await gateway.stop();
    await shard.stop();
  }
  const file = readdirSync(profiles).find((name) => name.endsWith('.cpuprofile'));
  if (file === undefined) throw new Error('the gateway wrote no profile');
  return { ...load, shares: sharesOf(JSON.parse(readFileSync(join(profiles, file), 'utf8')) as CpuProfile) };
}

/** Self times by function and file, as shares of the busy time. */
export function sharesOf({ nodes, samples, timeDeltas }: CpuProfile): ProfileResult['shares'] {
  const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]));
  const times = new Map<string, number>();
  samples.forEach((id, index) => {
    const name = names.get(id) ?? '';
    if (!idle.has(name)) times.set(name, (times.get(name) ?? 0) + (timeDeltas[index] ?? 0));
  });
  const busy = [...times.values()].reduce((sum, time) => sum + time, 0);
  return [...times].map(([what, time]) => ({ what, share: time / busy })).sort((a, b) => b.share - a.share);
}

function nameOf({ functionName, url }: CpuProfile['nodes'][number]['callFrame']): string {
  const place = url === '' ? '' : ` (${basename(dirname(url))}/${basename(url)})`;
  return `${functionName || 'anonymous'}${place}`;
}
