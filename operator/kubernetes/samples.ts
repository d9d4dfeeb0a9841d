import { get } from 'node:http';
import type { Sample } from '../platform.ts';
import { addUp, type Health, healthSchema } from '../samples.ts';
import { ports } from './clustersettings.ts';
import type { Component } from './names.ts';
import { isReady, type PodView } from './podview.ts';
import type { KubeObject } from './runtime/object.ts';

/** Asks the gateways' pods for their health, by their addresses, and adds it up. */
export interface ClusterSamples {
  /**
   * The last round, of a moment ago; null when no gateway answered in it. Begins the next one when the last is old,
   * and waits for it a moment only: a pass is not held up by a gateway that hangs.
   */
  sample(): Promise<Sample | null>;
  /** Ends what is under way. */
  stop(): void;
}

const sampling = {
  /** Rounds are at least so far apart. */
  everyMs: 1_000,
  /** How long `sample` waits for a round. */
  waitMs: 500,
  /** One gateway's answer. */
  answerMs: 2_000,
  /** A whole round; gateways whose turn has not come by then are left out. */
  roundMs: 5_000,
  /** A round that is older tells nothing of this moment. */
  freshMs: 30_000,
  /** Asked at once. */
  most: 32,
};

/** More than a health with all alarms and shards; beyond, it is none. */
const mostBytes = 1_048_576;

export interface ClusterSamplesOptions {
  readonly cache: { pods(component: Component): readonly KubeObject[] };
  readonly times?: Partial<typeof sampling>;
  /** Where a pod's second port is, when not at its address. */
  readonly portOf?: (pod: PodView) => number;
}

export function createClusterSamples(options: ClusterSamplesOptions): ClusterSamples {
  const { cache, times, portOf = () => ports.ops } = options;
  const { everyMs, waitMs, answerMs, roundMs, freshMs, most } = { ...sampling, ...times };
  const stopped = new AbortController();
  let startedAt = Number.NEGATIVE_INFINITY;
  let endedAt = Number.NEGATIVE_INFINITY;
  let round: Promise<void> | null = null;
  let latest: Sample | null = null;

  async function ask(): Promise<void> {
    const waiting = (cache.pods('gateway') as readonly PodView[]).filter((pod) => isReady(pod) && pod.status?.podIP);
    const healths: Health[] = [];
    const end = performance.now() + roundMs;
    const next = async (): Promise<void> => {
      for (let pod = waiting.pop(); pod !== undefined && performance.now() < end; pod = waiting.pop()) {
        const signal = AbortSignal.any([stopped.signal, AbortSignal.timeout(answerMs)]);
        const health = await healthOf(pod.status!.podIP!, portOf(pod), signal);
        if (health !== null) healths.push(health);
      }
    };
    await Promise.all(Array.from({ length: Math.min(most, waiting.length) }, next));
    latest = healths.length === 0 ? null : addUp(healths);
    endedAt = performance.now();
  }

  return {
    async sample() {
      if (round === null && !stopped.signal.aborted && performance.now() - startedAt >= everyMs) {
        startedAt = performance.now();
        round = ask().finally(() => {
          round = null;
        });
      }
      if (round !== null) await atMost(waitMs, round);
      return performance.now() - endedAt < freshMs ? latest : null;
    },
    stop: () => stopped.abort(),
  };
}

async function atMost(ms: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work, over]);
  clearTimeout(timer);
}

/** Null when it does not answer with a health: its probes are what judges it. */
function healthOf(host: string, port: number, signal: AbortSignal): Promise<Health | null> {
  return new Promise((resolve) => {
    const none = () => resolve(null);
    const request = get({ host, port, path: '/health', agent: false, signal }, (reply) => {
      const pieces: Buffer[] = [];
      let bytes = 0;
      reply.on('data', (piece: Buffer) => {
        bytes += piece.length;
        if (bytes > mostBytes) request.destroy();
        else pieces.push(piece);
      });
      reply.on('error', none);
      reply.on('close', none);
      reply.on('end', () => resolve(reply.statusCode === 200 ? parsed(Buffer.concat(pieces)) : null));
    });
    request.on('error', none);
    request.on('close', none);
  });
}

function parsed(bytes: Buffer): Health | null {
  try {
    return healthSchema.parse(JSON.parse(bytes.toString()));
  } catch {
    return null;
  }
}
