import { type Job, runLoad, runPublish } from '#exporter/commands.ts';
import { readConfig } from '#exporter/config.ts';
import { createLines } from '#exporter/lines.ts';
import { createLog } from '#exporter/log.ts';
import { openSink } from '#exporter/opensink.ts';
import type { PublishResult } from '#exporter/publish.ts';
import type { Sink } from '#exporter/sink.ts';

/** Runs a command of the exporter in this process: what main.ts does, without the process. */
async function run<T>(configFile: string, sink: Sink | null, command: (job: Job) => Promise<T>): Promise<T> {
  const config = readConfig(configFile);
  const { signal } = new AbortController();
  const own = sink ?? openSink(config, signal);
  try {
    return await command({ config, sink: own, lines: createLines(() => {}), log: createLog('silent', {}), signal });
  } finally {
    await own.close();
  }
}

/** Loads every shard of an attempt. */
export async function loadAll(configFile: string, open: () => Sink | null = () => null): Promise<void> {
  for (const { shard } of readConfig(configFile).plan.witnesses) {
    await run(configFile, open(), (job) => runLoad(job, shard));
  }
}

export function publish(configFile: string, sink: Sink | null = null): Promise<PublishResult> {
  return run(configFile, sink, runPublish);
}
