/**
 * A program for gateway.test.ts: a student who answers, from an outbox file, until the process is killed.
 * argv: hub address, path of the outbox, name of the run. The token is in EXAM_TOKEN.
 */
import { writeSync } from 'node:fs';
import { createExamClient } from '#client/client.ts';
import { fileOutbox } from '#client/nodefileoutbox.ts';
import { nodeSha256 } from '#client/nodesha.ts';
import { nodeConnect } from '#client/nodesocket.ts';

const [url, path, run] = process.argv.slice(2);
const say = (line: object) => writeSync(1, `${JSON.stringify(line)}\n`);

const client = createExamClient({
  url: url!,
  token: process.env.EXAM_TOKEN!,
  outbox: fileOutbox(path!),
  connect: nodeConnect(),
  sha256: nodeSha256,
  startSpreadMs: 0,
  onDurable: (seq) => say({ settled: seq }),
  onAlarm: ({ code }) => say({ alarm: code }),
});
await client.open();
for (let n = 1; ; n++) {
  const event = { run, n };
  await client.submit(event);
  say({ stored: JSON.stringify(event) });
}
