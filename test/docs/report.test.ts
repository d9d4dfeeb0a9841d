import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { generateReceiptKeys, makeReceipt } from '#queue/receipt.ts';
import { fullReport } from '#test/exporter/fullreport.ts';
import { documentedFields, pathsOf } from '#test/exporter/reportfields.ts';
import { startProgram } from '#test/support/process.ts';
import { tmpFolder } from '#test/support/tmp.ts';

test('the page on the report names each of its fields, and no others', () => {
  const paths = pathsOf(fullReport());
  expect(
    documentedFields()
      .map(({ path }) => path)
      .toSorted(),
  ).toEqual(paths.toSorted());
});

test('its program tells a good receipt from others', async () => {
  const folder = tmpFolder('receipt');
  const program = join(folder, 'check-receipt.mjs');
  writeFileSync(program, /```js\n([\s\S]+?)```/.exec(readFileSync('docs/report.md', 'utf8'))![1]!);
  const { privateKey, publicKey } = generateReceiptKeys();
  const report = { ...fullReport() };
  const session = report.session.uid;
  const claim = { session, student: 'Zoë', writer: 'writer-1', lastSeq: 12, chain: 'ab'.repeat(32), time: 5 };
  const receipt = makeReceipt(privateKey, claim);
  const keys = { ...report.receipts!, publicKey, keyId: receipt.keyId };
  writeFileSync(join(folder, 'report.json'), JSON.stringify({ ...report, receipts: keys }));
  const check = async (shown: object) => {
    writeFileSync(join(folder, 'receipt.json'), JSON.stringify(shown));
    const argv = [process.execPath, program, join(folder, 'report.json'), join(folder, 'receipt.json')];
    const run = startProgram({ argv });
    const { code } = await run.ended(10_000);
    return { code, said: run.stdout.trim() };
  };
  expect(await check(receipt)).toEqual({ code: 0, said: 'good' });
  expect(await check({ ...receipt, lastSeq: 13 })).toEqual({ code: 1, said: 'NOT GOOD' });
  const other = { ...claim, session: 'c0ffee00-0000-4000-8000-000000000002' };
  expect(await check(makeReceipt(privateKey, other))).toEqual({ code: 1, said: 'NOT GOOD' });
});
