import * as z from 'zod';

/** What a session may say about the pods of its parts, on a cluster. Bounded, so that CEL rules stay affordable. */

/** As Kubernetes writes amounts: 500m, 2, 1.5, 512Mi, 10Gi, 1e9. */
export const quantityPattern = /^[0-9]{1,12}(\.[0-9]{1,6})?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi|e[0-9]{1,2})?$/;

/** A name of an object of Kubernetes (RFC 1123). */
export const objectNamePattern = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;

export const quantity = (description: string) => z.string().regex(quantityPattern).optional().describe(description);

export const objectName = (description: string) => z.string().regex(objectNamePattern).describe(description);

/** A key of a Secret or ConfigMap. */
export const dataKey = z.string().regex(/^[-._a-zA-Z0-9]{1,253}$/);

export const resourcesSchema = z
  .strictObject({
    cpu: quantity('CPUs that are asked for, such as 500m. There is no limit: what is idle may be used.'),
    memory: quantity('Memory that is asked for, and at which the container is ended.'),
  })
  .optional()
  .describe('On a cluster: what each container gets. Left out: as planned.');

const labelText = z.string().max(63);
const mapKey = /^[-._/a-zA-Z0-9]{1,317}$/;

const map = (value: z.ZodString, description: string) =>
  z.record(z.string().regex(mapKey), value).optional().describe(description);

const toleration = z
  .strictObject({
    key: z.string().max(317).optional().describe('The taint that is tolerated. Left out: every taint.'),
    operator: z.enum(['Exists', 'Equal']).optional().describe('How the value is compared. Default: Equal.'),
    value: labelText.optional().describe("The taint's value."),
    effect: z
      .enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute'])
      .optional()
      .describe('The effect that is tolerated. Left out: every effect.'),
    tolerationSeconds: z.int().min(0).max(31_536_000).optional().describe('How long NoExecute is tolerated.'),
  })
  .describe('One toleration, as in a pod.');

export const podSchema = z
  .strictObject({
    nodeSelector: map(labelText, 'Labels that a node must have.'),
    tolerations: z.array(toleration).max(32).optional().describe('Taints of nodes that are tolerated.'),
    priorityClassName: z.string().regex(objectNamePattern).optional().describe('Priority class of the pods.'),
    affinity: z.looseObject({}).optional().describe('Affinity, as in a pod.'),
    annotations: map(z.string().max(4_096), 'Annotations of the pods.'),
    labels: map(labelText, 'Labels of the pods, beside ours.'),
  })
  .optional()
  .describe('On a cluster: parts of the pod template.');
