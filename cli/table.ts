import { stripVTControlCharacters } from 'node:util';

/** Rows below their titles, each column as wide as it must be, with three spaces between, as kubectl does. */
export function table(titles: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const all = [titles, ...rows];
  const widths = titles.map((_, column) => Math.max(...all.map((row) => widthOf(row[column] ?? ''))));
  return all.map((row) =>
    row
      .map((cell, column) => cell + ' '.repeat(widths[column]! - widthOf(cell)))
      .join('   ')
      .trimEnd(),
  );
}

/** Colours take no place. */
function widthOf(text: string): number {
  return stripVTControlCharacters(text).length;
}
