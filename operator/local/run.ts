import pino from 'pino';
import { problem } from '#queue/problem.ts';
import { withoutEffectText } from '../effect.ts';
import { faultOf } from '../fault.ts';
import { createLoop } from '../loop.ts';
import { createQueueControl } from '../queuecontrol.ts';
import { createReconciler } from '../reconcile.ts';
import { defaultSettings, type Settings } from '../settings.ts';
import { dataFolder, makePrivateDir } from './datafolder.ts';
import { type IdentityFile, openIdentityFile, readIdentity } from './identityfile.ts';
import { lockFolder } from './lock.ts';
import { endOrphans, openChildrenFile } from './orphans.ts';
import { openLocalPlatform } from './platform.ts';
import { freePort, isPortFree } from './ports.ts';
import { findRedisBinary } from './redisbinary.ts';
import { placeSession } from './sessionfile.ts';
import type { LocalStatus } from './statusfile.ts';

/** On one machine somebody watches: live counts each second, and a short wait at the end. */
export const localSettings = {
  ...defaultSettings,
  passSeconds: 1,
  verifiedLingerSeconds: 10,
  verifiedMostSeconds: 120,
  exportBackoffSeconds: 1,
  exportBlockedSeconds: 60,
} satisfies Settings;

export interface RunOptions {
  /** The session's file; left out: the one that is in the folder. */
  readonly file?: string;
  readonly dataDir: string;
  /** Where students connect. 0: a free port, kept for later runs. */
  readonly port: number;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Node programs: the path of each, and first arguments. */
  readonly programs: { readonly gateway: string[]; readonly exporter: string[] };
  /** Called with the whole status at each change. */
  readonly onStatus: (status: LocalStatus) => void;
  /** Told once, before anything is started, what of the session has no effect here. */
  readonly onNote?: (text: string) => void;
  readonly settings?: Partial<Settings>;
}

export interface LocalRun {
  /** Resolves when the session is Completed and nothing of it runs any more, or after `stop`. */
  readonly done: Promise<void>;
  /** Ends everything in order, in a bounded time. The session can be resumed by another run on the same folder. */
  stop(): Promise<void>;
}

/**
 * Runs a session on this machine until it is completed, resuming wherever an earlier run of the folder was killed.
 * @throws Problem: a session file that is not valid, a folder in use, a port that is taken, no redis-server
 */
export async function runLocal(options: RunOptions): Promise<LocalRun> {
  const { host = '127.0.0.1' } = options;
  const folder = dataFolder(options.dataDir);
  const redisBinary = (await findRedisBinary()).path;
  await makePrivateDir(folder.root);
  const lock = await lockFolder(folder);
  try {
    const known = await readIdentity(folder);
    const session = await placeSession(folder, options.file ?? null, known);
    const unheeded = withoutEffectText(session.spec);
    if (unheeded !== null) options.onNote?.(unheeded);
    const identity = await openIdentityFile(folder, known, session);
    const logger = pino({ name: 'operator' }, pino.destination({ dest: folder.log, mode: 0o600, append: true }));
    for (const what of await endOrphans(folder)) logger.warn({ what }, 'ended what an earlier run left behind');
    await settlePort(identity, host, options.port);
    const children = openChildrenFile(folder);
    const { programs, onStatus } = options;
    const platform = await openLocalPlatform({ folder, identity, children, host, redisBinary, programs, onStatus });
    return start(platform, { ...localSettings, ...options.settings }, logger, () => lock.release());
  } catch (error) {
    lock.release();
    throw error;
  }
}

type LocalPlatform = Awaited<ReturnType<typeof openLocalPlatform>>;

/** Passes over the one session, until it is done or stopped. */
function start(platform: LocalPlatform, settings: Settings, logger: pino.Logger, release: () => void): LocalRun {
  const key = 'session';
  const { promise: done, resolve: end, reject: fail } = Promise.withResolvers<void>();
  // Whoever does not wait for the end is told by `stop`.
  done.catch(() => {});
  let stopping: Promise<void> | null = null;
  const queue = createQueueControl(() => loop.enqueue(key));
  const pass = createReconciler({ platform, queue, settings });
  const loop = createLoop({
    pass: async () => {
      const result = await pass();
      if (result.done) stop().catch(() => {});
      return result;
    },
    // Not the error itself: errors of Redis carry the command, and with it a password.
    onError: (_, error, retryMs) =>
      logger.error({ ...faultOf(error), stack: (error as Error).stack, retryMs }, 'a pass failed and is repeated'),
  });
  const unwatch = platform.watch(() => loop.enqueue(key));

  async function stopAll(): Promise<void> {
    try {
      await loop.stop();
      unwatch();
      await queue.close();
      await platform.remove();
      await platform.writeLastStatus();
    } finally {
      release();
    }
  }

  function stop(): Promise<void> {
    if (stopping === null) {
      stopping = stopAll();
      stopping.then(end, fail);
    }
    return stopping;
  }

  loop.enqueue(key);
  return { done, stop };
}

/** The port that was asked for, or the one of earlier runs, or a free one; kept, so that students find it again. */
async function settlePort(identity: IdentityFile, host: string, asked: number): Promise<void> {
  const known = identity.value.gatewayPort;
  let port = asked;
  if (asked === 0) port = known !== 0 && (await isPortFree(host, known)) ? known : await freePort(host);
  else if (!(await isPortFree(host, asked))) {
    throw problem(
      'port_taken',
      `port ${asked} of ${host} is in use by another program`,
      'name another one with --port',
    );
  }
  if (port !== known) await identity.update((now) => ({ ...now, gatewayPort: port }));
}
