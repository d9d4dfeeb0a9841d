import { join } from 'node:path';
import { memoryOutbox } from '#client/memoryoutbox.ts';
import { fileOutbox } from '#client/nodefileoutbox.ts';
import { outboxConformance } from '#test/conformance/outbox.ts';
import { tmpFolder } from '#test/support/tmp.ts';

outboxConformance('in memory', () => {
  const outbox = memoryOutbox();
  return { outbox, again: () => outbox };
});

outboxConformance('in a file', () => {
  const path = join(tmpFolder('outbox'), 'answers.ndjson');
  return { outbox: fileOutbox(path), again: () => fileOutbox(path) };
});
