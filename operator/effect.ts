import type { ExamSpec } from './examsession.ts';

/** Where a session is: on one machine, which `untradex run` looks after, or on a cluster. */
export type Place = 'machine' | 'cluster';

/** Fields by the only place that honours them, each with what to use in the other one; null: nothing is needed there. */
const honouredOnly: Readonly<Record<Place, Readonly<Record<string, string | null>>>> = {
  cluster: {
    'access.host': 'where it listens is said by --host and --port',
    'access.tlsSecret': null,
    'access.ingressClass': null,
    'access.gateway': null,
    'auth.secretRef': 'tokens are signed with the key in the data folder, as by `untradex token`',
    'gateway.autoscale': null,
    'gateway.resources': null,
    'gateway.pod': null,
    'redis.storageClass': null,
    // The memory is honoured: `maxmemory` follows from it. So is the storage: the disk is compared with it.
    'redis.resources.cpu': null,
    'redis.pod': null,
    'export.volume': null,
    'export.keepQueueFor': null,
    'export.resources': null,
    'export.pod': null,
    'export.postgres.credentialsSecret': 'name a file in spec.export.postgres.passwordFile',
    'roster.configMap': 'name a CSV file beside the session file in spec.roster.file',
  },
  machine: {
    'roster.file': 'put it into a ConfigMap and name it in spec.roster.configMap',
    'export.postgres.passwordFile': 'name a Secret in spec.export.postgres.credentialsSecret',
    'export.postgres.tls.caFile': 'name a Secret in spec.export.postgres.credentialsSecret',
    'export.postgres.tls.certFile': 'name a Secret in spec.export.postgres.credentialsSecret',
    'export.postgres.tls.keyFile': 'name a Secret in spec.export.postgres.credentialsSecret',
  },
};

const otherPlace = { machine: 'cluster', cluster: 'machine' } as const satisfies Record<Place, Place>;

/**
 * The fields, `spec.access.host` and the like, that are given and change nothing of what is done at that place.
 * @param spec with its defaults, which do not count as given
 */
export function fieldsWithoutEffect(spec: ExamSpec, where: Place): string[] {
  return Object.keys(honouredOnly[otherPlace[where]])
    .filter((field) => isGiven(spec, field))
    .map((field) => `spec.${field}`);
}

/** What to use in place of a field that {@link fieldsWithoutEffect} has named; null: nothing. */
export function insteadOf(field: string, where: Place): string | null {
  return honouredOnly[otherPlace[where]][field.replace(/^spec\./, '')] ?? null;
}

/** One sentence about all that has no effect on one machine; null when everything has. */
export function withoutEffectText(spec: ExamSpec): string | null {
  const fields = fieldsWithoutEffect(spec, 'machine').map((field) => {
    const instead = insteadOf(field, 'machine');
    return instead === null ? field : `${field} (${instead})`;
  });
  return fields.length === 0 ? null : `On one machine these fields have no effect: ${fields.join(', ')}.`;
}

/** `autoscale: false` wishes for nothing, as when it is left out. */
function isGiven(spec: ExamSpec, field: string): boolean {
  const value = field
    .split('.')
    .reduce<unknown>((at, name) => (at as Readonly<Record<string, unknown>> | undefined)?.[name], spec);
  return value !== undefined && value !== false;
}
