import { hash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { compareLedger, isKept } from '#cli/compare.ts';
import { createRowPrinter, digestLines, isRowLine } from '#cli/rowlines.ts';
import type { Row } from '#exporter/row.ts';
import { tmpFolder } from '#test/support/tmp.ts';

const students = ['anna', 'the "best", of all', "o'neill", 'änna ≤ 第二'];

function row(student: string, seq: number): Row {
  const payload = Buffer.from(JSON.stringify({ student, seq }));
  const about = { exam: 'algebra', sessionUid: 'uid', receivedAt: 0, durableAt: 0, late: false, shard: 0 };
  return { ...about, student, writer: `writer-${student.length}`, seq, orderNo: seq, payload };
}

test('rows that were printed are compared as those of a table are, and both sides digest the same', async () => {
  const lines: string[] = [];
  const printer = createRowPrinter({ append: (line) => void lines.push(line), flush() {} });
  const rows = students.flatMap((student) => [1, 2, 3].map((seq) => row(student, seq)));
  await printer.print(rows.slice(0, 5));
  await printer.print(rows.slice(5));
  const here = digestLines();
  for (const line of lines) here.add(line);
  expect(here.seen).toEqual(printer.printed);
  expect(here.seen.lines).toBe(12);
  expect(lines.every(isRowLine)).toBe(true);

  const folder = tmpFolder('rows');
  const [file, ledger] = [join(folder, 'rows.csv'), join(folder, 'ledger.ndjson')];
  writeFileSync(file, `${lines.join('\n')}\n`);
  const entries = rows.map(({ student, writer, seq, payload }) => ({
    student,
    writer,
    seq,
    sha256: hash('sha256', payload, 'hex'),
  }));
  writeFileSync(ledger, `${entries.map((entry) => JSON.stringify(entry)).join('\n')}\n`);
  const found = await compareLedger({ ledger, database: { rows: file }, table: 'T', sessionUid: 'uid' });
  expect(found).toMatchObject({ acknowledged: 12, exported: 12, students: 4 });
  expect(isKept(found)).toBe(true);
  writeFileSync(file, `${lines.slice(1).join('\n')}\n`);
  const less = await compareLedger({ ledger, database: { rows: file }, table: 'T', sessionUid: 'uid' });
  expect(less).toMatchObject({ missing: 1, outOfOrder: 1 });
});

test('a printer that is ahead of its pace waits', async () => {
  const printer = createRowPrinter({ append() {}, flush() {} }, 10_000);
  const startedAt = performance.now();
  for (let seq = 1; seq <= 20; seq++) await printer.print([row('anna', seq)]);
  // 20 lines of about 90 bytes at 10,000 bytes a second.
  expect(performance.now() - startedAt).toBeGreaterThan(150);
});
