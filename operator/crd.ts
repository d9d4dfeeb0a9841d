import * as z from 'zod';
import { examSessionSchema } from './examsession.ts';
import { editRules, sinks, specRules } from './rules.ts';
import { sessionStatusSchema } from './statusschema.ts';

/** A node of the structural schema that Kubernetes wants: a type everywhere, no unions. */
export interface SchemaNode {
  /** Left out for an amount, which is text or a whole number. */
  type?: string;
  description?: string;
  default?: unknown;
  enum?: unknown[];
  format?: string;
  pattern?: string;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  maxItems?: number;
  items?: SchemaNode;
  properties?: Record<string, SchemaNode>;
  additionalProperties?: SchemaNode;
  required?: string[];
  maxProperties?: number;
  'x-kubernetes-preserve-unknown-fields'?: true;
  'x-kubernetes-int-or-string'?: true;
  'x-kubernetes-list-type'?: 'map' | 'atomic';
  'x-kubernetes-list-map-keys'?: string[];
  'x-kubernetes-validations'?: CelRule[];
}

export interface CelRule {
  readonly rule: string;
  readonly message: string;
  readonly fieldPath?: string;
  readonly reason: 'FieldValueInvalid' | 'FieldValueForbidden';
}

const group = 'untradex.io';
const version = 'v1alpha1';

/** The CustomResourceDefinition of ExamSession. Pure: the same schema gives the same object. */
export function examSessionCrd() {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `examsessions.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: {
        kind: 'ExamSession',
        listKind: 'ExamSessionList',
        plural: 'examsessions',
        singular: 'examsession',
        shortNames: ['exam'],
      },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: printerColumns,
          schema: { openAPIV3Schema: examSessionNode() },
        },
      ],
    },
  };
}

const conditionStatus = (type: string) => `.status.conditions[?(@.type=="${type}")].status`;

/** What `kubectl get exam` shows; those with a priority only with `-o wide`. */
const printerColumns = [
  { name: 'Ready', type: 'string', jsonPath: conditionStatus('Ready') },
  { name: 'Phase', type: 'string', jsonPath: '.status.phase' },
  { name: 'Students', type: 'integer', jsonPath: '.spec.students' },
  { name: 'Connected', type: 'integer', jsonPath: '.status.students.connected' },
  { name: 'Events', type: 'integer', jsonPath: '.status.events.durable' },
  { name: 'Verified', type: 'string', jsonPath: conditionStatus('Verified') },
  { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
  { name: 'Exported', type: 'integer', jsonPath: '.status.events.exported', priority: 1 },
  { name: 'Replicas', type: 'integer', jsonPath: '.status.plan.replicas', priority: 1 },
  { name: 'Shards', type: 'integer', jsonPath: '.status.plan.shards', priority: 1 },
  { name: 'URL', type: 'string', jsonPath: '.status.url', priority: 1 },
] as const;

function examSessionNode(): SchemaNode {
  const { description, properties } = structural(examSessionSchema);
  const { apiVersion, kind, metadata, spec } = properties as Record<string, SchemaNode>;
  const name = metadata!.properties!.name!;
  return {
    ...(description === undefined ? {} : { description }),
    type: 'object',
    required: ['spec'],
    properties: {
      // The API server judges these two by itself.
      apiVersion: plain(apiVersion!),
      kind: plain(kind!),
      metadata: { type: 'object' },
      spec: specNode(spec!),
      status: statusNode(),
    },
    'x-kubernetes-validations': [nameRule(name), ...editRules.map(celOfEdit)],
  };
}

function plain({ type, description }: SchemaNode): SchemaNode {
  return { type: type!, ...(description === undefined ? {} : { description }) };
}

function nameRule({ pattern, description }: SchemaNode): CelRule {
  return {
    rule: `self.metadata.name.matches(r'${pattern}')`,
    message: `metadata.name does not fit. ${description} Create the session under another name`,
    reason: 'FieldValueInvalid',
  };
}

function celOfEdit({ field, text, cel }: (typeof editRules)[number]): CelRule {
  return { rule: cel, message: `${field} ${text}`, fieldPath: `.${field}`, reason: 'FieldValueForbidden' };
}

function specNode(node: SchemaNode): SchemaNode {
  // A default would count as given.
  for (const sink of sinks) delete node.properties?.export?.properties?.[sink]?.default;
  const rules = specRules.map(
    ({ field, text, cel }): CelRule => ({
      rule: cel,
      message: `spec.${field} ${text}`,
      fieldPath: `.${field}`,
      reason: 'FieldValueInvalid',
    }),
  );
  return { ...node, 'x-kubernetes-validations': rules };
}

/** Conditions are a map by type, so that others may add theirs. Nothing but their fields is required, and nothing has a default. */
function statusNode(): SchemaNode {
  const node = structural(sessionStatusSchema);
  const lenient = (part: SchemaNode): SchemaNode => {
    const { required: _required, default: _default, ...rest } = part;
    if (rest.properties !== undefined) rest.properties = mapValues(rest.properties, lenient);
    return rest;
  };
  const status = lenient(node);
  const conditions = status.properties!.conditions!;
  // As for every condition in Kubernetes.
  conditions.items!.required = ['type', 'status', 'reason', 'message', 'lastTransitionTime'];
  Object.assign(conditions, {
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['type'],
  });
  return status;
}

/** The schema as Kubernetes takes it. What it forbids or does by itself is left out: `additionalProperties`, `nullable`. */
function structural(schema: z.ZodType): SchemaNode {
  return convert(z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input' }) as Raw);
}

interface Raw extends Omit<SchemaNode, 'additionalProperties' | 'items' | 'properties'> {
  properties?: Record<string, Raw>;
  items?: Raw;
  additionalProperties?: unknown;
  propertyNames?: unknown;
  nullable?: boolean;
}

/** Fields that are not listed: a map's values, anything at all, or (false) nothing. */
function others(given: unknown): Pick<SchemaNode, 'additionalProperties' | 'x-kubernetes-preserve-unknown-fields'> {
  if (typeof given !== 'object' || given === null) return {};
  if (Object.keys(given).length === 0) return { 'x-kubernetes-preserve-unknown-fields': true };
  return { additionalProperties: convert(given as Raw) };
}

function convert({ additionalProperties, propertyNames: _, nullable, ...rest }: Raw): SchemaNode {
  const { description, type, default: preset, properties, items, pattern, minimum, maximum, ...more } = rest;
  return {
    ...(description === undefined ? {} : { description }),
    ...(type === undefined || more['x-kubernetes-int-or-string'] ? {} : { type }),
    ...(preset === undefined || preset === null ? {} : { default: preset }),
    ...more,
    ...others(additionalProperties),
    // zod bounds whole numbers by what JavaScript can count; only bounds of our own are worth telling.
    ...(minimum === undefined || minimum === Number.MIN_SAFE_INTEGER ? {} : { minimum }),
    ...(maximum === undefined || maximum === Number.MAX_SAFE_INTEGER ? {} : { maximum }),
    ...(type === 'integer' && more.format === undefined ? { format: 'int64' } : {}),
    ...(pattern === undefined ? {} : { pattern: pattern.replaceAll('\\/', '/') }),
    ...(items === undefined ? {} : { items: convert(items), 'x-kubernetes-list-type': 'atomic' as const }),
    // The API server drops an empty one; then a second `kubectl apply` would find a difference.
    ...(Object.keys(properties ?? {}).length === 0 ? {} : { properties: mapValues(properties!, convert) }),
  };
}

function mapValues<A, B>(record: Readonly<Record<string, A>>, map: (value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]));
}
