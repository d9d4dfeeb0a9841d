import { styleText } from 'node:util';

/** How text may stand out. Colours appear on a terminal only, and never with NO_COLOR. */
export type Style = 'bold' | 'dim' | 'green' | 'yellow' | 'red' | 'cyan';

/** Paints `text` for `stream` (default stdout): unchanged unless that is a terminal which wants colours. */
export function paint(style: Style, text: string, stream: NodeJS.WriteStream = process.stdout): string {
  return styleText(style, text, { stream, validateStream: true });
}

/** Writes one line of the command's result to stdout. */
export function line(text = ''): void {
  process.stdout.write(`${text}\n`);
}

/** Writes `value` as one line of JSON to stdout. */
export function json(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

/** Tells on stderr what goes on meanwhile, so that stdout holds the result and nothing else. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** A whole number with thousands marked: 12345 is `12,345`. */
export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** Milliseconds for people: `4.2 ms`, `312 ms`, `2.3 s`, `1 min 5 s`. */
export function time(ms: number): string {
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}

/** One title and its rows, the labels aligned: how every command shows a section. */
export function section(title: string, rows: readonly (readonly [label: string, value: string])[]): void {
  if (rows.length === 0) return;
  const width = Math.max(...rows.map(([label]) => label.length));
  line(paint('bold', title));
  for (const [label, value] of rows) line(`  ${label.padEnd(width)}  ${value}`);
}

/**
 * Keeps a reader who has seen enough (`| head`) from being taken for a defect: what nobody reads is dropped. Commands
 * that run on and on end for it (signals.ts).
 */
export function forgiveClosedOutput(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error;
    });
  }
}
