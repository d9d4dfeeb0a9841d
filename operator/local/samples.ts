import { appendFile, readFile } from 'node:fs/promises';
import type { Sample } from '../platform.ts';
import { addUp, type Health, healthSchema } from '../samples.ts';
import { writeAtomic } from './datafolder.ts';
import type { LocalGateways } from './gateways.ts';

/** Asks the gateways for their health every second, adds it up, and keeps the history in DIR/samples.ndjson. */
export interface Samples {
  /** The last round; null before the first, and when no gateway answered. */
  readonly latest: Sample | null;
  stop(): Promise<void>;
}

const sampling = {
  everyMs: 1_000,
  answerMs: 2_000,
  /** A gateway that is ready and has not answered for so long hangs: it is killed, and started again. */
  hungMs: 30_000,
  /** Lines of history: half a working day. Above it every second one is dropped, so that old times get coarser. */
  mostLines: 16_384,
};

export interface SamplesOptions {
  /** Where the history goes (NDJSON). */
  readonly file: string;
  readonly gateways: Pick<LocalGateways, 'ready' | 'kill'>;
  /** Called in each round, for what is to be tidied now and then. */
  readonly tidy?: () => Promise<void>;
  readonly times?: Partial<typeof sampling>;
}

export function startSamples({ file, gateways, tidy = async () => {}, times = {} }: SamplesOptions): Samples {
  const { everyMs, answerMs, hungMs, mostLines } = { ...sampling, ...times };
  const answeredAt = new Map<number, number>();
  let latest: Sample | null = null;
  let lines: number | null = null;
  let stopped = false;
  let wake = () => {};
  const life = live();

  async function live(): Promise<void> {
    while (!stopped) {
      await round().catch(() => {
        // The history is for reports and plots: a full disk must not end the exam's supervision.
      });
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, everyMs);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
        if (stopped) wake();
      });
    }
  }

  async function round(): Promise<void> {
    const now = Date.now();
    const ready = gateways.ready;
    for (const pid of answeredAt.keys()) if (!ready.some((gateway) => gateway.pid === pid)) answeredAt.delete(pid);
    const answers = await Promise.all(ready.map((gateway) => ask(gateway.pid, gateway.opsPort, now)));
    const healths = answers.filter((health) => health !== null);
    latest = healths.length === 0 ? null : addUp(healths);
    if (latest !== null) await keep({ at: new Date(now).toISOString(), gateways: healths.length, ...latest });
    await tidy();
  }

  async function ask(pid: number, opsPort: number, now: number): Promise<Health | null> {
    try {
      const reply = await fetch(`http://127.0.0.1:${opsPort}/health`, { signal: AbortSignal.timeout(answerMs) });
      const health = healthSchema.parse(await reply.json());
      answeredAt.set(pid, now);
      return health;
    } catch {
      const since = answeredAt.get(pid);
      if (since === undefined) answeredAt.set(pid, now);
      else if (now - since > hungMs) gateways.kill(pid);
      return null;
    }
  }

  async function keep(line: object): Promise<void> {
    lines ??= await countLines(file);
    if (lines >= mostLines) {
      const all = (await readFile(file, 'utf8')).split('\n').filter((text) => text !== '');
      const kept = all.filter((_, index) => index % 2 === 1);
      await writeAtomic(file, `${kept.join('\n')}\n`);
      lines = kept.length;
    }
    await appendFile(file, `${JSON.stringify(line)}\n`, { mode: 0o600 });
    lines += 1;
  }

  return {
    get latest() {
      return latest;
    },
    async stop() {
      stopped = true;
      wake();
      await life;
    },
  };
}

async function countLines(path: string): Promise<number> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text.split('\n').length - 1;
}
