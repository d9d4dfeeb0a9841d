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
  maxLength?: number;
  maxItems?: number;
  maxProperties?: number;
  properties?: Record<string, Node>;
  additionalProperties?: Node | false;
  items?: Node;
  'x-kubernetes-int-or-string'?: boolean;
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
    if (issue.code === 'invalid_key') {
      return [
        `${dotted(issue.path)}${lineOf(issue.path)}: must have a key as labels have them, such as example.com/name`,
      ];
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
  for (const key of path) {
    const inside = typeof key === 'number' ? node.items : (node.properties?.[String(key)] ?? node.additionalProperties);
    node = inside || {};
  }
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
  if (node['x-kubernetes-int-or-string']) return `an amount as Kubernetes writes it (${described(node)})`;
  if (node.pattern !== undefined)
    return `text${bound(node.maxLength)} that matches ${node.pattern} (${described(node)})`;
  switch (node.type) {
    case 'integer':
      return `a whole number from ${node.minimum ?? 'any'} to ${node.maximum ?? 'any'}`;
    case 'boolean':
      return 'true or false';
    case 'array':
      return `a list${bound(node.maxItems)}`;
    case 'object':
      return node.additionalProperties ? `a map${bound(node.maxProperties)}` : `a map of ${namesIn(node)}`;
    default:
      return `text${bound(node.maxLength)}`;
  }
}

function described({ description }: Node): string {
  return description ?? 'as its name says';
}

function namesIn({ properties }: Node): string {
  return Object.keys(properties ?? {}).join(', ') || 'nothing';
}

function bound(most: number | undefined): string {
  return most === undefined ? '' : ` of at most ${most}`;
}

function dotted(path: readonly PropertyKey[]): string {
  return path.length === 0 ? 'the whole document' : path.map(String).join('.');
}

function shown(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
