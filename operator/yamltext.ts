import { isMap, LineCounter, parseAllDocuments } from 'yaml';

export interface YamlText {
  /** What the text holds; undefined when it cannot be read. */
  readonly value: unknown;
  /** ` (line N)` for the field at a path, or for the nearest of its parents that is written down; empty when none is. */
  readonly lineOf: (path: readonly PropertyKey[]) => string;
  /** What keeps the text from being read, each with its line. */
  readonly errors: string[];
}

/** Parses one YAML document (JSON is YAML too) and remembers on which line each field stands. */
export function parseYaml(text: string): YamlText {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
  const list = Array.isArray(documents) ? documents : [];
  const nothing = (error: string): YamlText => ({ value: undefined, lineOf: () => '', errors: [error] });
  const document = list[0];
  if (document === undefined) return nothing('there is nothing in it');
  if (list.length > 1) return nothing(`it holds ${list.length} documents; one is wanted`);
  if (document.errors.length > 0) {
    const errors = document.errors.map((e) => `line ${lines.linePos(e.pos[0]).line}: ${e.message}`);
    return { value: undefined, lineOf: () => '', errors };
  }
  const lineOf = (path: readonly PropertyKey[]): string => {
    const offset = offsetOf(document.contents, path);
    return offset === null ? '' : ` (line ${lines.linePos(offset).line})`;
  };
  try {
    return { value: document.toJS({ maxAliasCount: 100 }), lineOf, errors: [] };
  } catch (error) {
    return nothing((error as Error).message);
  }
}

/** Where the key of the field at `path` begins, or that of its nearest written parent. */
function offsetOf(root: unknown, path: readonly PropertyKey[]): number | null {
  let node = root;
  let offset: number | null = null;
  for (const key of path) {
    if (!isMap(node)) break;
    const pair = node.items.find((item) => String(item.key) === String(key));
    const range = (pair?.key as { range?: [number, number, number] } | undefined)?.range;
    if (pair === undefined || range === undefined) break;
    offset = range[0];
    node = pair.value;
  }
  return offset;
}
