import { readFileSync } from 'node:fs';

/** A field as docs/report.md has it. */
export interface DocumentedField {
  readonly path: string;
  /** Marked as differing between two exports of the same. */
  readonly varies: boolean;
}

export function documentedFields(): DocumentedField[] {
  const text = readFileSync('docs/report.md', 'utf8');
  const fields = text.slice(text.indexOf('## Fields'));
  return [...fields.matchAll(/^\| `([^`]+)`( †)? \|/gm)].map(([, path, mark]) => ({
    path: path!,
    varies: mark !== undefined,
  }));
}

/** The paths of all values: `[]` for entries of a list of objects or lists; a list of numbers is a value. */
export function pathsOf(value: unknown, path = ''): string[] {
  if (Array.isArray(value)) {
    if (value.length === 0) return [];
    if (value.some((one) => typeof one === 'object' && one !== null && !Array.isArray(one))) {
      return [...new Set(value.flatMap((one) => pathsOf(one, `${path}[]`)))];
    }
    return [path === 'timeline.shards' ? `${path}[]` : path];
  }
  if (typeof value !== 'object' || value === null) return [path];
  return Object.entries(value).flatMap(([name, inner]) => pathsOf(inner, path === '' ? name : `${path}.${name}`));
}

/** The report without the fields that vary. */
export function steady(report: unknown): unknown {
  const varying = new Set(documentedFields().flatMap(({ path, varies }) => (varies ? path : [])));
  const without = (value: unknown, path: string): unknown => {
    if (Array.isArray(value)) return value.map((one) => without(one, `${path}[]`));
    if (typeof value !== 'object' || value === null) return value;
    const kept = Object.entries(value).flatMap(([name, inner]) => {
      const at = path === '' ? name : `${path}.${name}`;
      return varying.has(at) || isAllVarying(at) ? [] : [[name, without(inner, at)]];
    });
    return Object.fromEntries(kept);
  };
  const isAllVarying = (at: string) => {
    const below = documentedFields().filter(({ path }) => path.startsWith(`${at}[]`));
    return below.length > 0 && below.every(({ varies }) => varies);
  };
  return without(report, '');
}
