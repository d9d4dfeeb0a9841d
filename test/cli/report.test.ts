import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { reportPage } from '#exporter/report/page.ts';
import type { Report } from '#exporter/report.ts';
import { dataFolder } from '#operator/local/datafolder.ts';
import { fullReport } from '#test/exporter/fullreport.ts';
import { runCli, sessionFolder } from './cli.ts';

function folderWith(report: object): string {
  const data = sessionFolder();
  const path = dataFolder(data).export.report;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, JSON.stringify(report));
  return data;
}

test('writes the report as a page, the same each time, and exits as the report says', async () => {
  const report: Report = { ...fullReport(), verified: true };
  const data = folderWith(report);
  const [one, other] = [join(data, 'one.html'), join(data, 'other.html')];
  for (const file of [one, other]) {
    const { code, stdout, stderr } = await runCli(['report', 'algebra', '--data', data, '--html', file]);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '', stderr: `wrote ${file}\n` });
  }
  expect(readFileSync(one, 'utf8')).toBe(reportPage(report));
  expect(readFileSync(other, 'utf8')).toBe(readFileSync(one, 'utf8'));
  const failed = folderWith(fullReport());
  expect(await runCli(['report', 'algebra', '--data', failed, '--html', one])).toMatchObject({ code: 1 });
});

test('says so when the report is of another version', async () => {
  const data = folderWith({ ...fullReport(), format: 1 });
  const { code, stderr } = await runCli(['report', 'algebra', '--data', data, '--html', join(data, 'page.html')]);
  expect(code).not.toBe(0);
  expect(stderr).toContain('the report has format 1');
});
