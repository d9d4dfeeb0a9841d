import { appendFileSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { fileOutbox } from '#client/nodefileoutbox.ts';
import type { OutboxContents } from '#client/outbox.ts';
import { startProgram } from '#test/support/process.ts';
import { tmpFolder } from '#test/support/tmp.ts';

const binding = { session: 'uid-1', student: 'ada', origin: 'cd'.repeat(32) };

function newPath(): string {
  return join(tmpFolder('outbox'), 'answers.ndjson');
}

async function filled(path: string): Promise<OutboxContents> {
  const outbox = fileOutbox(path, { session: 'algebra', student: 'ada' });
  const { writer } = await outbox.open();
  const texts = ['{"a":"ü\\n"}', '"🦤"', '3'];
  for (const [i, text] of texts.entries()) await outbox.append(i + 1, text);
  await outbox.bind(binding);
  outbox.tell({ seq: 2, incarnation: 'one' });
  await outbox.close();
  return { writer, texts, binding, told: { seq: 2, incarnation: 'one' } };
}

async function contentsOf(path: string): Promise<OutboxContents> {
  const outbox = fileOutbox(path);
  const contents = await outbox.open();
  await outbox.close();
  return contents;
}

function submitter(path: string, run: string, shell?: string) {
  const argv = [process.execPath, 'test/client/submitter.ts', path, run];
  return startProgram({ argv: shell === undefined ? argv : ['bash', '-c', `${shell}; exec "$@"`, 'bash', ...argv] });
}

test('the file is the documented NDJSON, readable by its owner only', async () => {
  const path = newPath();
  const { writer } = await filled(path);
  const lines = readFileSync(path, 'utf8').split('\n');
  expect(lines.pop()).toBe('');
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    { outbox: 'untradex-1', session: 'algebra', student: 'ada', writer },
    { seq: 1, event: '{"a":"ü\\n"}' },
    { seq: 2, event: '"🦤"' },
    { seq: 3, event: '3' },
    binding,
    { told: 2, incarnation: 'one' },
  ]);
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test('cut off at any byte, it opens with every whole line before, and goes on after it', async () => {
  const path = newPath();
  const whole = await filled(path);
  const bytes = readFileSync(path);
  const headerEnd = bytes.indexOf(10) + 1;
  for (let cut = 0; cut <= bytes.length; cut++) {
    writeFileSync(path, bytes.subarray(0, cut));
    const outbox = fileOutbox(path);
    const contents = await outbox.open();
    const lines = bytes.subarray(0, cut).toString().split('\n').length - 1;
    if (cut < headerEnd) expect(contents.writer).not.toBe(whole.writer);
    else expect(contents.writer).toBe(whole.writer);
    expect(contents.texts).toEqual(whole.texts.slice(0, Math.max(0, Math.min(3, lines - 1))));
    await outbox.append(contents.texts.length + 1, '"after"');
    await outbox.close();
    expect((await contentsOf(path)).texts).toEqual([...contents.texts, '"after"']);
  }
});

test('a tail of zeros or of half a line, as a power cut leaves it, is cut off', async () => {
  const path = newPath();
  const whole = await filled(path);
  for (const tail of [
    Buffer.alloc(500),
    Buffer.from('{"seq":4,"ev'),
    Buffer.from('\0\0\0\n"seq\n\0'),
    Buffer.from([0xff, 10]),
  ]) {
    appendFileSync(path, tail);
    expect(await contentsOf(path)).toEqual(whole);
  }
});

test('damage before the end, a gap, or a file that is no outbox is refused, and the file not touched', async () => {
  const path = newPath();
  await filled(path);
  const good = readFileSync(path, 'utf8');
  const bad: [string, RegExp][] = [
    [good.replace('"seq":2', '"sXq":2'), /line 3 .* none of the known forms/],
    [good.replace('{"seq":2', '\0\0\0\0\0\0\0'), /line 3 .* not JSON/],
    [good.replace('"seq":3', '"seq":4'), /line 4 .* seq 4 after 2/],
    [`${good}{"seq":3,"event":"3"}\n`, /line 7 .* seq 3 after 3/],
    ['my notes\nfor the exam\n', /line 1 .* header/],
    ['my notes', /line 1 .* header/],
    ['{"outbox":"untradex-9","writer":"abcdefgh"}\n', /line 1 .* header/],
  ];
  for (const [text, message] of bad) {
    writeFileSync(path, text);
    await expect(fileOutbox(path).open()).rejects.toMatchObject({ code: 'outbox_corrupt' });
    await expect(fileOutbox(path).open()).rejects.toThrow(message);
    expect(readFileSync(path, 'utf8')).toBe(text);
  }
});

test('cleared, the file is gone', async () => {
  const path = newPath();
  const outbox = fileOutbox(path);
  await outbox.open();
  await outbox.append(1, '1');
  await outbox.clear();
  expect(existsSync(path)).toBe(false);
  await outbox.close();
});

test('without its folder it says what is missing, and holds no lock', async () => {
  const path = join(tmpFolder('outbox'), 'missing', 'answers.ndjson');
  const outbox = fileOutbox(path);
  await expect(outbox.open()).rejects.toMatchObject({
    code: 'outbox_failed',
    remedy: expect.stringContaining('folder'),
  });
  await outbox.close();
});

test('a process that has it open keeps others out until it is killed; then nothing confirmed is missing and no seq is used twice', {
  timeout: 30_000,
}, async () => {
  const path = newPath();
  const confirmed = new Map<number, string>();
  for (let round = 0; round < 8; round++) {
    const run = `run ${round}`;
    const child = submitter(path, run);
    const { opened } = await child.line<{ opened: number }>((line) => 'opened' in line, 'the outbox to be open');
    expect(opened).toBeGreaterThanOrEqual(confirmed.size);
    await child.line((line) => 'confirmed' in line, 'a first append');
    await expect(fileOutbox(path).open()).rejects.toMatchObject({ code: 'outbox_in_use' });
    await sleep(Math.random() * 100);
    child.kill('SIGKILL');
    await child.ended();
    for (const line of child.lines) if (typeof line.confirmed === 'number') confirmed.set(line.confirmed, run);

    const { texts } = await contentsOf(path);
    texts.forEach((text, i) => {
      const { run: by, n } = JSON.parse(text);
      expect(n).toBe(i + 1);
      expect(by).toBe(confirmed.get(n) ?? by);
    });
    expect(texts.length).toBeGreaterThanOrEqual(Math.max(...confirmed.keys()));
  }
  expect(confirmed.size).toBeGreaterThan(50);
});

test('when the disk is full, the append fails, nothing follows it, and what was confirmed is kept', async () => {
  const path = newPath();
  // 16 blocks of 1 KiB at most for a file.
  const child = submitter(path, 'run', 'ulimit -f 16');
  const { failed } = await child.line<{ failed: string }>((line) => 'failed' in line, 'an append to fail');
  expect(failed).toBe('outbox_failed');
  await child.ended();
  const seqs = child.lines.filter((line) => 'confirmed' in line).map((line) => line.confirmed as number);
  expect(seqs).toEqual(seqs.map((_, i) => i + 1));
  expect(seqs.length).toBeGreaterThan(3);
  const { texts } = await contentsOf(path);
  expect(texts.length).toBeGreaterThanOrEqual(seqs.length);
});
