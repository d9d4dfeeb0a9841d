import { MultiBar, type Options } from 'cli-progress';

/** Something that moves at the bottom of a terminal; on anything else only what is said appears. */
export interface Progress {
  /** @param detail stands behind the bar: a rate, what is being done */
  update(value: number, detail?: string, total?: number): void;
  /** Prints a line above it. */
  say(text: string): void;
  stop(): void;
}

/** A bar on stderr, so that stdout stays free for results. */
export function startProgress(label: string, total: number): Progress {
  return start(`${label} {bar} {percentage}%  {detail}`, total, process.stderr);
}

/** A last line on stdout with live counts below the lines that stay: `update`'s detail is the line. */
export function startLiveLine(): Progress {
  return start('{detail}', 1, process.stdout);
}

function start(format: string, total: number, stream: NodeJS.WriteStream): Progress {
  if (!stream.isTTY) return { update() {}, say: (text) => void stream.write(`${text}\n`), stop() {} };
  const options: Options = {
    format,
    stream,
    barCompleteChar: '━',
    barIncompleteChar: '─',
    barsize: 30,
    hideCursor: true,
    gracefulExit: false, // Signals are the command's business; it stops the bar.
    emptyOnZero: true,
    fps: 8,
  };
  const bars = new MultiBar(options);
  const bar = bars.create(total, 0, { detail: '' });
  return {
    update(value, detail = '', newTotal) {
      if (newTotal !== undefined) bar.setTotal(newTotal);
      bar.update(value, { detail });
    },
    say: (text) => bars.log(`${text}\n`),
    stop() {
      bars.update(); // Prints what was said last.
      bars.stop();
    },
  };
}
