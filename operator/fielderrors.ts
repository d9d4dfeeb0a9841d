import * as z from 'zod';
import { didYouMean } from './didyoumean.ts';

/** The part of JSON Schema that says what a field may hold. */
interface Node {
  type?: string;
  description?: string;
  minimum?: number;
  maximum?: number;
  enum?: unknown[];
  pattern?: string;
  format?: string;
  properties?: Record<string, Node>;
  items?: Node;
}

/**
 * Says of every field that zod refused: where it stands, what is wrong, what is allowed. Unknown fields are told with
 * the name that was probably meant.
 */
export function explainFields(
  schema: z.ZodType,
  issues: readonly z.core.$ZodIssue[],
  value: unknown,
  lineOf: (path: readonly PropertyKey[]) => string,
): string[] {
  if (issues.length === 0) return [];
  const root = z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input' }) as Node;
  return issues.flatMap((issue) => {
    const node = nodeAt(root, issue.path);
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => {
        const path = [...issue.path, key];
        return `${dotted(path)}${lineOf(path)}: ${unknownField(key, Object.keys(node.properties ?? {}))}`;
      });
    }
    const found = valueAt(value, issue.path);
    const wrong = found === undefined ? 'is missing; it ' : '';
    const not = found === undefined ? '' : `, not ${shown(found)}`;
    return [`${dotted(issue.path)}${lineOf(issue.path)}: ${wrong}must be ${allowed(node)}${not}`];
  });
}

function unknownField(key: string, known: readonly string[]): string {
  const meant = didYouMean(key, known);
  if (meant !== null) return `unknown field; did you mean "${meant}"?`;
  return known.length === 0 ? 'unknown field; none is known here' : `unknown field; known here: ${known.join(', ')}`;
}

function nodeAt(root: Node, path: readonly PropertyKey[]): Node {
  let node = root;
  for (const key of path) node = (typeof key === 'number' ? node.items : node.properties?.[String(key)]) ?? {};
  return node;
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let at = value;
  for (const key of path) at = (at as Record<PropertyKey, unknown> | null | undefined)?.[key];
  return at;
}

/** What a field may hold, in words. */
function allowed(node: Node): string {
  if (node.enum !== undefined) return node.enum.length === 1 ? `${node.enum[0]}` : `one of ${node.enum.join(', ')}`;
  if (node.format === 'date-time') return 'a date and time with its offset, such as 2026-05-04T09:00:00Z';
  if (node.pattern !== undefined)
    return `text that matches ${node.pattern} (${node.description ?? 'as its name says'})`;
  switch (node.type) {
    case 'integer':
      return `a whole number from ${node.minimum ?? 'any'} to ${node.maximum ?? 'any'}`;
    case 'boolean':
      return 'true or false';
    case 'array':
      return 'a list';
    case 'object':
      return `a map of ${Object.keys(node.properties ?? {}).join(', ') || 'nothing'}`;
    default:
      return 'text';
  }
}

function dotted(path: readonly PropertyKey[]): string {
  return path.length === 0 ? 'the whole document' : path.map(String).join('.');
}

function shown(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
