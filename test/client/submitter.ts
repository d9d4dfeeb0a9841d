/**
 * A program for nodefileoutbox.test.ts: opens the outbox at argv[2], says what it holds, then appends until it is
 * killed (or until an append fails), saying every seq once it is confirmed. argv[3] names the run, for the texts.
 */
import { writeSync } from 'node:fs';
import { fileOutbox } from '#client/nodefileoutbox.ts';

const [path, run] = process.argv.slice(2);
const say = (line: object) => writeSync(1, `${JSON.stringify(line)}\n`);

const outbox = fileOutbox(path!);
try {
  const { writer, texts } = await outbox.open();
  say({ opened: texts.length, writer });
  for (let seq = texts.length + 1; ; seq += 3) {
    // Three at once, so that groups, and cuts within them, happen.
    const appends = [seq, seq + 1, seq + 2].map(async (n) => {
      await outbox.append(n, JSON.stringify({ run, n, filler: 'x'.repeat(n % 700) }));
      say({ confirmed: n });
    });
    outbox.tell({ seq: seq - 1, incarnation: 'one' });
    await Promise.all(appends);
  }
} catch (error) {
  say({ failed: (error as { code?: string }).code ?? String(error) });
}
