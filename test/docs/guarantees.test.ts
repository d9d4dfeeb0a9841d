import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';

const page = 'docs/guarantees.md';
const text = readFileSync(page, 'utf8');

/** The cases that the page has to answer for. */
const cases = [2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16, 17, 18, 19, 21, 22, 23, 25, 26, 27, 28];

/** Tests are named as `file`: “title”. */
const named = [...text.matchAll(/`(test\/[^`]+\.ts)`: “([^”]+)”/g)].map(([, file, title]) => ({
  file: file!,
  title: title!,
}));

describe('the page on guarantees', () => {
  test.each(named)('names a test that exists: $file, $title', ({ file, title }) => {
    const source = readFileSync(file, 'utf8');
    const literals = ["'", '"', '`'].map((quote) => quote + title + quote);
    expect(
      literals.some((literal) => source.includes(literal)),
      `${file} has no test "${title}"`,
    ).toBe(true);
  });

  test('names a test for every case', () => {
    const rows = [...text.matchAll(/^\| (\d+) \|(.*)$/gm)].map(([, number, rest]) => ({
      number: Number(number),
      rest,
    }));
    expect(rows.map((row) => row.number)).toEqual(cases);
    for (const { number, rest } of rows) expect(rest, `case ${number}`).toMatch(/`test\/[^`]+`: “/);
  });

  test('leaves no reference to a test in another form', () => {
    expect(text.match(/test\/[\w/.-]+\.ts/g)?.length).toBe(named.length);
  });

  test('has links that lead somewhere', () => {
    const links = [...text.matchAll(/\]\(([^)#]+)(#[^)]*)?\)/g)].map(([, path]) => resolve(join(dirname(page), path!)));
    expect(links.length).toBeGreaterThan(0);
    expect(links.filter((path) => !existsSync(path))).toEqual([]);
  });
});
