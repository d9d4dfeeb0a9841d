import { exitCodeOfSignal } from './exitcodes.ts';

/** A wish to stop, from Ctrl-C, SIGTERM, a terminal or a reader of our output that is gone, or a parent that died. */
export interface StopWish {
  /** Aborted when the command should stop. */
  readonly signal: AbortSignal;
  /** What asked for it, once it did. */
  readonly by: 'SIGINT' | 'SIGTERM' | undefined;
  /** Takes the handlers away, so that nothing keeps the process alive. */
  release(): void;
}

/**
 * Listens for SIGINT, SIGTERM, SIGHUP, for output that nobody reads any more and, when the command was started by a
 * program over an IPC channel, for the end of that program: then everything below must end too. Further signals change
 * nothing, since npm and a terminal both deliver Ctrl-C; how long stopping may take is bounded by whoever stops.
 */
export function listenForStop(): StopWish {
  const abort = new AbortController();
  let by: StopWish['by'];
  const stop = (signal: 'SIGINT' | 'SIGTERM') => {
    by ??= signal;
    abort.abort();
  };
  const onInt = () => stop('SIGINT');
  const onTerm = () => stop('SIGTERM');
  process.on('SIGINT', onInt);
  process.on('SIGTERM', onTerm);
  process.on('SIGHUP', onTerm);
  process.on('disconnect', onTerm);
  // For good: what is said while stopping goes nowhere either, and must not end the stopping.
  for (const output of [process.stdout, process.stderr]) output.on('error', onTerm);
  process.channel?.unref();
  return {
    signal: abort.signal,
    get by() {
      return by;
    },
    release() {
      process.off('SIGINT', onInt);
      process.off('SIGTERM', onTerm);
      process.off('SIGHUP', onTerm);
      process.off('disconnect', onTerm);
    },
  };
}

/**
 * Runs what a signal may end. Whatever it rejects with once that has come is the end that was asked for.
 * @returns what `work` gave, or the exit code of the signal
 */
export async function untilStopped(work: (signal: AbortSignal) => Promise<number>): Promise<number> {
  const stop = listenForStop();
  try {
    const code = await work(stop.signal);
    return stop.by === undefined ? code : exitCodeOfSignal(stop.by);
  } catch (error) {
    if (stop.by === undefined) throw error;
    return exitCodeOfSignal(stop.by);
  } finally {
    stop.release();
  }
}
