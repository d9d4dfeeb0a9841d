import { stringify } from 'yaml';
import type { examSessionCrd, SchemaNode } from '#operator/crd.ts';
import { editRules, specRules } from '#operator/rules.ts';

type Crd = ReturnType<typeof examSessionCrd>;

/** The reference page of ExamSession, from the CRD. Pure. */
export function examSessionPage(crd: Crd): string {
  const { properties, description } = crd.spec.versions[0]!.schema.openAPIV3Schema;
  const { spec, status } = properties!;
  return `${[
    '# ExamSession',
    '<!-- Made by `npm run crds` from operator/examsession.ts: edit there. -->',
    `${description} This page lists every field; \`kubectl explain exam.spec.export\` shows the same in a terminal.`,
    '## The smallest one',
    yaml({ students: 4000 }),
    'Every other field has a default. Fields that are not listed here are refused, in a cluster by `kubectl` (`--validate=strict`, its default).',
    '## spec',
    specDescription,
    table(spec!, 'spec', true),
    '## Rules',
    'Beside what the table says of single fields, in a session file and in a cluster alike:',
    list(specRules.map(({ field, text }) => ({ field: `spec.${field}`, text }))),
    'An edit, in a cluster:',
    list(editRules),
    'On one machine an edit of `spec.exam`, `spec.rehearsal` or `spec.redis.shards` is refused likewise; there are no volumes. Fields that begin with "On a cluster" have no effect there, which `untradex run` tells; those that begin with "On one machine" are refused on a cluster. A cluster takes `field: null` for a field that is left out (server-side apply does not), and labels and annotations in `metadata`; a session file has neither.',
    '## Examples',
    ...examples.flatMap(({ title, spec: example }) => [title, yaml(example)]),
    '## status',
    `${status!.description} Conditions are the contract: wait for them, as in \`kubectl wait exam/algebra --for=condition=Ready\` and \`--for=condition=Verified\`. What is not known is left out.`,
    table(status!, 'status', false),
    '## What kubectl shows',
    columns(crd),
  ].join('\n\n')}\n`;
}

const specDescription = 'What is wanted. A map whose fields all have defaults may be left out.';

/** A session with this spec, as a file. A test applies each. */
export function sessionOf(spec: object): object {
  return { apiVersion: 'untradex.io/v1alpha1', kind: 'ExamSession', metadata: { name: 'algebra' }, spec };
}

export const examples: readonly { readonly title: string; readonly spec: object }[] = [
  {
    title: 'An exam with a beginning and an end, which finalizes itself when the last student is done:',
    spec: {
      students: 4000,
      exam: 'Algebra I',
      opensAt: '2026-05-04T08:45:00+02:00',
      closesAt: '2026-05-04T11:00:00+02:00',
      graceSeconds: 30,
      late: 'Mark',
      autoFinalize: true,
    },
  },
  {
    title: 'Tokens of your own identity provider, and pages from another host:',
    spec: {
      students: 4000,
      access: { origins: ['https://exam.example.edu'] },
      auth: { jwksUrl: 'https://id.example.edu/jwks.json', issuer: 'https://id.example.edu', audience: 'algebra' },
    },
  },
  {
    title: 'Sized by hand:',
    spec: {
      students: 60000,
      answers: { perStudent: 400, bytes: 600 },
      gateway: { replicas: 16 },
      redis: { shards: 8 },
      export: { table: 'ALGEBRA_2026', batchRows: 10000 },
    },
  },
  {
    title: 'On a cluster: a host name, extra time from a ConfigMap, and a PostgreSQL server by a Secret:',
    spec: {
      students: 4000,
      closesAt: '2026-05-04T11:00:00+02:00',
      access: { host: 'exam.example.edu', ingressClass: 'public' },
      roster: { configMap: { name: 'algebra-roster' } },
      export: {
        postgres: { host: 'db.example.edu', database: 'exams', credentialsSecret: 'exam-database' },
        keepQueueFor: '14d',
      },
    },
  },
  {
    title: 'On a cluster: where pods run, on which disks, and with how much:',
    spec: {
      students: 40000,
      gateway: { autoscale: true, maxReplicas: 24, resources: { cpu: '500m', memory: '1Gi' } },
      redis: {
        storage: '20Gi',
        storageClass: 'fast',
        pod: {
          nodeSelector: { pool: 'exams' },
          tolerations: [{ key: 'dedicated', value: 'exams', effect: 'NoSchedule' }],
          priorityClassName: 'exams',
        },
      },
      export: { volume: { storage: '50Gi' } },
    },
  },
  { title: 'A rehearsal:', spec: { students: 4000, rehearsal: true } },
  { title: 'The end of an exam (a patch of `spec.phase` does it too):', spec: { students: 4000, phase: 'Finalizing' } },
];

function yaml(spec: object): string {
  return `\`\`\`yaml\n${stringify(sessionOf(spec)).trimEnd()}\n\`\`\``;
}

function table(node: SchemaNode, path: string, withDefaults: boolean): string {
  const head = withDefaults
    ? ['| field | type | default | what it does |', '|---|---|---|---|']
    : ['| field | type | what it tells |', '|---|---|---|'];
  const rows = fields(node, path).map(({ at, field, required }) => {
    const preset = withDefaults ? ` ${required ? '**required**' : shownDefault(field)} |` : '';
    return `| \`${at}\` | ${typeOf(field)} |${preset} ${cell(field.description ?? '')} |`;
  });
  return [...head, ...rows].join('\n');
}

interface Row {
  readonly at: string;
  readonly field: SchemaNode;
  readonly required: boolean;
}

/** Every field below a node, parents before their children; `[]` stands for each entry of a list. */
function fields(node: SchemaNode, path: string): Row[] {
  return Object.entries(node.properties ?? {}).flatMap(([name, field]) => {
    const at = `${path}.${name}`;
    const inside = field.items === undefined ? fields(field, at) : fields(field.items, `${at}[]`);
    return [{ at, field, required: node.required?.includes(name) ?? false }, ...inside];
  });
}

function shownDefault(field: SchemaNode): string {
  if (field.default === undefined || field.type === 'object') return '';
  return `\`${JSON.stringify(field.default)}\``;
}

function typeOf(node: SchemaNode): string {
  if (node.enum !== undefined) return node.enum.map((value) => `\`${value}\``).join(', ');
  if (node.format === 'date-time') return 'date and time with its offset';
  if (node['x-kubernetes-int-or-string']) return `amount, \`${cell(node.pattern!)}\``;
  if (node.pattern !== undefined) return `text, \`${cell(node.pattern)}\``;
  switch (node.type) {
    case 'integer':
    case 'number':
      return `${node.type === 'integer' ? 'whole number' : 'number'}${range(node.minimum, node.maximum)}`;
    case 'array':
      return `list${range(undefined, node.maxItems)} of ${node.items?.type === 'object' ? 'maps' : typeOf(node.items!)}`;
    case 'boolean':
      return 'true or false';
    case 'object':
      return mapType(node);
    default:
      return `text${range(node.minLength, node.maxLength)}`;
  }
}

function mapType(node: SchemaNode): string {
  const { additionalProperties, maxProperties } = node;
  if (node['x-kubernetes-preserve-unknown-fields']) return 'map of anything';
  if (additionalProperties === undefined) return 'map';
  return `map${range(undefined, maxProperties)} of names to ${typeOf(additionalProperties)}`;
}

function range(least: number | undefined, most: number | undefined): string {
  if (most === undefined) return '';
  return least === undefined ? ` (at most ${most})` : ` (${least} to ${most})`;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

function list(rules: readonly { readonly field: string; readonly text: string }[]): string {
  return rules.map(({ field, text }) => `- \`${field}\` ${text}.`).join('\n');
}

function columns(crd: Crd): string {
  const shown = crd.spec.versions[0]!.additionalPrinterColumns;
  const rows = shown.map((column) => {
    const where = 'priority' in column ? ' (with `-o wide`)' : '';
    return `| ${column.name.toUpperCase()}${where} | \`${cell(column.jsonPath)}\` |`;
  });
  return ['| column of `kubectl get exam` | what it is |', '|---|---|', ...rows].join('\n');
}
