import * as z from 'zod';

/**
 * What a session may say about the objects that a cluster makes of it: names, amounts, parts of pods. Each value is
 * bounded, so that the API server can tell beforehand what the rules over it cost.
 */

const label = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const subdomain = `${label}(\\.${label})*`;
const namePart = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';

/** A name of most objects of Kubernetes (RFC 1123), and of hosts. */
const objectNamePattern = new RegExp(`^${subdomain}$`);
/** A name of a namespace, or of a part of an object. */
const labelPattern = new RegExp(`^${label}$`);
/** A host that an Ingress takes: no address, so its last part begins with a letter. */
const hostPattern = new RegExp(`^(${label}\\.)*[a-z]([-a-z0-9]*[a-z0-9])?$`);
const labelValuePattern = new RegExp(`^(${namePart})?$`);
const labelKeyPattern = new RegExp(`^(${subdomain}/)?${namePart}$`);

export const objectName = (description: string) => z.string().regex(objectNamePattern).max(253).describe(description);
export const shortName = (description: string) => z.string().regex(labelPattern).max(63).describe(description);
export const hostName = (description: string) => z.string().regex(hostPattern).max(253).describe(description);

/** A key of a Secret or ConfigMap. */
export const dataKey = z.string().regex(/^[-._a-zA-Z0-9]{1,253}$/);

/**
 * An amount as Kubernetes writes it, more than nothing; whole numbers without quotes too, as everybody writes them.
 * Always text once it is read.
 */
function amount(pattern: RegExp, most: number) {
  const asText = (value: unknown) => (Number.isInteger(value) && (value as number) > 0 ? String(value) : value);
  return z
    .preprocess(asText, z.string().regex(pattern))
    .meta({ 'x-kubernetes-int-or-string': true, minimum: 1, maximum: most })
    .optional();
}

/** `500m`, `2`, `1.5`. */
export const cores = (description: string) =>
  amount(/^([1-9][0-9]{0,5}m|[1-9][0-9]{0,3}(\.[0-9]{1,3})?|0\.0{0,2}[1-9][0-9]{0,2})$/, 9_999).describe(description);

/** `512Mi`, `10Gi`, `1.5Gi`, `2e9`. No `m`: a thousandth of a byte is a slip of the pen. */
export const bytes = (description: string) =>
  amount(
    /^([1-9][0-9]{0,11}(\.[0-9]{1,3})?|0\.0{0,2}[1-9][0-9]{0,2})(k|M|G|T|P|Ki|Mi|Gi|Ti|Pi|e[0-9])?$/,
    999_999_999_999,
  ).describe(description);

const cpuText = 'Cores that are asked for, such as 500m or 2. There is no limit: what is idle may be used.';

/** @param memory what the memory does, beside what it does everywhere */
export const resources = (memory = '') =>
  z
    .strictObject({
      cpu: cores(cpuText),
      memory: bytes(`Memory that is asked for, such as 2Gi; a container that takes more is ended.${memory}`),
    })
    .optional()
    .describe('On a cluster: what each container gets, and the plan then counts with it. Left out: as planned.');

const mostEntries = 64;

/**
 * A map of labels or annotations. Kubernetes has no schema for keys, so the API server checks them by a rule.
 */
function entries(value: z.ZodString, description: string) {
  const keys = `must have at most ${mostEntries} entries, with keys as labels have them: example.com/name or name`;
  return z
    .record(z.string().regex(labelKeyPattern).max(317), value)
    .refine((map) => Object.keys(map).length <= mostEntries)
    .meta({
      maxProperties: mostEntries,
      'x-kubernetes-validations': [
        { rule: `self.all(key, key.matches(r'${labelKeyPattern.source.replaceAll('\\/', '/')}'))`, message: keys },
      ],
    })
    .optional()
    .describe(description);
}

const labelValue = z.string().regex(labelValuePattern).max(63);

const toleration = z
  .strictObject({
    key: z
      .string()
      .regex(labelKeyPattern)
      .max(317)
      .optional()
      .describe('The taint that is tolerated. Left out: every taint, with the operator Exists.'),
    operator: z
      .enum(['Exists', 'Equal'])
      .optional()
      .describe('Exists: whatever its value is. Equal (the default): with this value.'),
    value: labelValue.optional().describe("The taint's value."),
    effect: z
      .enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute'])
      .optional()
      .describe('The effect that is tolerated. Left out: every effect.'),
    tolerationSeconds: z
      .int()
      .min(0)
      .max(31_536_000)
      .optional()
      .describe('With the effect NoExecute: for how long. Left out: for ever.'),
  })
  .describe('One toleration, as in a pod.');

const freely = (description: string) => z.looseObject({}).optional().describe(description);

const affinity = z
  .strictObject({
    nodeAffinity: freely('To nodes, as in a pod.'),
    podAffinity: freely('To pods, as in a pod.'),
    podAntiAffinity: freely('Away from pods, as in a pod.'),
  })
  .optional()
  .describe('Affinity, as in a pod; what is inside is checked when pods are made.');

export const podSchema = z
  .strictObject({
    nodeSelector: entries(labelValue.describe('The value.'), 'Labels that a node must have.'),
    tolerations: z.array(toleration).max(32).optional().describe('Taints of nodes that are tolerated.'),
    affinity,
    priorityClassName: objectName('Priority class of the pods.').optional(),
    annotations: entries(z.string().max(4_096).describe('The value.'), 'Annotations of the pods, beside ours.'),
    labels: entries(labelValue.describe('The value.'), 'Labels of the pods, beside ours.'),
  })
  .optional()
  .describe('On a cluster: where the pods run, and what is written on them.');
