import { isDateTime } from './datetime.ts';

/**
 * Rules that no single field can tell. Each is written twice: `broken`, for the session files that are read here, and
 * `cel`, for the API server (crd.ts). A test puts the same documents through both.
 *
 * CEL rules stand on the whole `spec` and ask with `has()`: a rule on a field is passed by removing the field and
 * adding it again.
 */
export interface SpecRule {
  /** The field that is named when the rule is broken. */
  readonly field: string;
  /** What is wrong and what to do; follows the field's path. */
  readonly text: string;
  /** On the raw spec, before defaults: it is told together with wrong fields. */
  broken(spec: Readonly<Record<string, unknown>>): boolean;
  /** True when the rule is kept; `self` is the spec, with defaults. */
  readonly cel: string;
}

/** The targets of an export: fields of spec.export, of which at most one is given. Left out: the first. */
export const sinks: readonly string[] = ['duckdb', 'postgres'];

/** Made from the names, so that a further target is one word. */
export function oneSink(names: readonly string[]): SpecRule {
  return {
    field: 'export',
    text: `takes one target: keep one of ${names.join(', ')} and remove the others`,
    broken: ({ export: target }) =>
      typeof target === 'object' && target !== null && names.filter((name) => name in target).length > 1,
    cel: `!has(self.export) || [${names.map((name) => `has(self.export.${name})`).join(', ')}].filter(given, given).size() <= 1`,
  };
}

export const specRules: readonly SpecRule[] = [
  ...(sinks.length > 1 ? [oneSink(sinks)] : []),
  {
    field: 'export.table',
    text: 'is too long for PostgreSQL: take at most 63 characters, 53 in a rehearsal, which adds _REHEARSAL',
    broken: ({ export: target, rehearsal }) => {
      const { postgres, table } = (target ?? {}) as { postgres?: unknown; table?: unknown };
      return postgres !== undefined && typeof table === 'string' && table.length > (rehearsal === true ? 53 : 63);
    },
    cel: '!has(self.export) || !has(self.export.postgres) || !has(self.export.table) || size(self.export.table) <= (has(self.rehearsal) && self.rehearsal ? 53 : 63)',
  },
  {
    field: 'closesAt',
    text: 'must be after spec.opensAt: move one of them',
    broken: ({ opensAt, closesAt }) =>
      isDateTime(opensAt) && isDateTime(closesAt) && Date.parse(opensAt) >= Date.parse(closesAt),
    cel: '!has(self.opensAt) || !has(self.closesAt) || self.opensAt < self.closesAt',
  },
  {
    field: 'autoFinalize',
    text: 'needs spec.closesAt: without a deadline there is none to wait for',
    broken: ({ autoFinalize, closesAt }) => autoFinalize === true && closesAt === undefined,
    cel: '!has(self.autoFinalize) || !self.autoFinalize || has(self.closesAt)',
  },
  {
    field: 'roster',
    text: 'needs spec.closesAt: extra minutes are counted from it',
    broken: ({ roster, closesAt }) => roster !== undefined && closesAt === undefined,
    cel: '!has(self.roster) || has(self.closesAt)',
  },
  {
    field: 'roster',
    text: 'takes one of file and configMap: file on one machine, configMap on a cluster',
    broken: ({ roster }) => isMap(roster) && 'file' in roster === 'configMap' in roster,
    cel: '!has(self.roster) || has(self.roster.file) != has(self.roster.configMap)',
  },
  {
    field: 'auth',
    text: 'takes one of secretRef and jwksUrl: keep the one whose tokens are to be believed',
    broken: ({ auth }) => isMap(auth) && 'secretRef' in auth && 'jwksUrl' in auth,
    cel: '!has(self.auth) || !has(self.auth.secretRef) || !has(self.auth.jwksUrl)',
  },
  {
    field: 'gateway.replicas',
    text: 'leaves nothing to choose: remove it, or minReplicas, maxReplicas and autoscale',
    broken: ({ gateway }) =>
      isMap(gateway) &&
      'replicas' in gateway &&
      ('minReplicas' in gateway || 'maxReplicas' in gateway || gateway.autoscale === true),
    cel: '!has(self.gateway) || !has(self.gateway.replicas) || !(has(self.gateway.minReplicas) || has(self.gateway.maxReplicas) || (has(self.gateway.autoscale) && self.gateway.autoscale))',
  },
  {
    field: 'gateway.maxReplicas',
    text: 'must not be less than minReplicas',
    broken: ({ gateway }) =>
      isMap(gateway) &&
      typeof gateway.minReplicas === 'number' &&
      typeof gateway.maxReplicas === 'number' &&
      gateway.maxReplicas < gateway.minReplicas,
    cel: '!has(self.gateway) || !has(self.gateway.minReplicas) || !has(self.gateway.maxReplicas) || self.gateway.minReplicas <= self.gateway.maxReplicas',
  },
  {
    field: 'access.host',
    text: 'is needed for tlsSecret, ingressClass and gateway: say where students connect, or remove them',
    broken: ({ access }) =>
      isMap(access) &&
      !('host' in access) &&
      ('tlsSecret' in access || 'ingressClass' in access || 'gateway' in access),
    cel: '!has(self.access) || has(self.access.host) || !(has(self.access.tlsSecret) || has(self.access.ingressClass) || has(self.access.gateway))',
  },
  {
    field: 'access.ingressClass',
    text: 'is of an Ingress, and access.gateway takes its place: keep one of them',
    broken: ({ access }) => isMap(access) && 'ingressClass' in access && 'gateway' in access,
    cel: '!has(self.access) || !has(self.access.ingressClass) || !has(self.access.gateway)',
  },
  {
    field: 'access.tlsSecret',
    text: 'is of an Ingress; with access.gateway the Gateway holds the certificate: remove it',
    broken: ({ access }) => isMap(access) && 'tlsSecret' in access && 'gateway' in access,
    cel: '!has(self.access) || !has(self.access.tlsSecret) || !has(self.access.gateway)',
  },
  {
    field: 'export.postgres.user',
    text: 'is needed: say who the exporter is there, or name a credentialsSecret with a username',
    broken: ({ export: target }) => {
      const { postgres } = (isMap(target) ? target : {}) as { postgres?: unknown };
      return isMap(postgres) && !('user' in postgres) && !('credentialsSecret' in postgres);
    },
    cel: '!has(self.export) || !has(self.export.postgres) || has(self.export.postgres.user) || has(self.export.postgres.credentialsSecret)',
  },
  {
    field: 'export.postgres.credentialsSecret',
    text: 'holds what passwordFile and the files of tls hold on one machine: keep it on a cluster, them on one machine',
    broken: ({ export: target }) => {
      const { postgres } = (isMap(target) ? target : {}) as { postgres?: unknown };
      if (!isMap(postgres) || !('credentialsSecret' in postgres)) return false;
      const tls = isMap(postgres.tls) ? postgres.tls : {};
      return 'passwordFile' in postgres || 'caFile' in tls || 'certFile' in tls || 'keyFile' in tls;
    },
    cel: '!has(self.export) || !has(self.export.postgres) || !has(self.export.postgres.credentialsSecret) || !(has(self.export.postgres.passwordFile) || (has(self.export.postgres.tls) && (has(self.export.postgres.tls.caFile) || has(self.export.postgres.tls.certFile) || has(self.export.postgres.tls.keyFile))))',
  },
];

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/** A rule over an edit, for the API server; `checkEdit` of edit.ts refuses the same where there is none. */
export interface EditRule {
  /** Dotted, from the object. */
  readonly field: string;
  readonly text: string;
  /** True when the edit is allowed; `self` and `oldSelf` are whole objects, with defaults. */
  readonly cel: string;
}

/** CEL: every field on the path is there. */
const has = (path: string) => {
  const parts = path.split('.');
  return parts
    .slice(1)
    .map((_, index) => `has(${parts.slice(0, index + 2).join('.')})`)
    .join(' && ');
};
const phaseOf = (object: string) => `(has(${object}.spec.phase) ? ${object}.spec.phase : 'Active')`;
/** Volumes are asked for when a session is provisioned, and for the export once it is sealed. */
const isProvisioned = `(${has('oldSelf.status.phase')} && oldSelf.status.phase != 'Pending')`;
const isSealing = `(${has('oldSelf.status.sealing')})`;
const sealingText = 'once it is sealed';
const provisionedText = 'once the session is provisioned';

/** The class of volumes that are there stays: there or not, and the same text. */
function fixedClass(path: string, isMade: string, when: string): EditRule {
  return {
    field: path,
    text: `cannot change ${when}: a volume keeps its class. Take the edit back; for another class make another session`,
    cel: `!${isMade} || (${has(`self.${path}`)} ? self.${path} : '') == (${has(`oldSelf.${path}`)} ? oldSelf.${path} : '')`,
  };
}

/** A removal would be a way around: nothing, and then less. */
function growingSize(path: string, isMade: string, when: string): EditRule {
  return {
    field: path,
    text: `cannot shrink or be removed ${when}: a volume only grows. Say what it was, or more`,
    cel: `!${isMade} || !(${has(`oldSelf.${path}`)}) || (${has(`self.${path}`)} && quantity(string(self.${path})).compareTo(quantity(string(oldSelf.${path}))) >= 0)`,
  };
}

const examOf = (object: string) => `(has(${object}.spec.exam) ? ${object}.spec.exam : ${object}.metadata.name)`;

/** That a session is sealed shows in the status, which an edit of the spec cannot change. */
export const editRules: readonly EditRule[] = [
  {
    field: 'spec.phase',
    text: 'cannot go back to Active: sealing has begun (status.sealing). Leave it at Finalizing; for more answers make another session',
    cel: `!(${has('oldSelf.status.sealing')}) || ${phaseOf('oldSelf')} != 'Finalizing' || ${phaseOf('self')} == 'Finalizing'`,
  },
  {
    field: 'spec.exam',
    text: 'cannot change: it stands in the queue of this session. Take the edit back; for another exam make another session',
    cel: `${examOf('self')} == ${examOf('oldSelf')}`,
  },
  {
    field: 'spec.rehearsal',
    text: 'cannot change: it decides whose answers these are. Take the edit back; make another session',
    cel: `(has(self.spec.rehearsal) && self.spec.rehearsal) == (has(oldSelf.spec.rehearsal) && oldSelf.spec.rehearsal)`,
  },
  {
    field: 'spec.redis.shards',
    text: 'cannot change or be removed once it is set: students are never moved between shards. Take the edit back; grow spec.gateway.replicas or spec.students instead',
    cel: `!(${has('oldSelf.spec.redis.shards')}) || (${has('self.spec.redis.shards')} && self.spec.redis.shards == oldSelf.spec.redis.shards)`,
  },
  {
    field: 'spec.redis.shards',
    text: 'must be the number of shards that exist (status.plan.shards), or be left out',
    cel: `${has('oldSelf.spec.redis.shards')} || !(${has('self.spec.redis.shards')}) || !(${has('self.status.plan.shards')}) || !(${has('self.status.phase')}) || self.status.phase == 'Pending' || self.spec.redis.shards == self.status.plan.shards`,
  },
  fixedClass('spec.redis.storageClass', isProvisioned, provisionedText),
  growingSize('spec.redis.storage', isProvisioned, provisionedText),
  fixedClass('spec.export.volume.storageClass', isSealing, sealingText),
  growingSize('spec.export.volume.storage', isSealing, sealingText),
  {
    field: 'status.sealing',
    text: 'cannot be removed or changed: what is sealed stays sealed. Write the status with the value that it has',
    cel: `!(${has('oldSelf.status.sealing')}) || (${has('self.status.sealing')} && self.status.sealing == oldSelf.status.sealing)`,
  },
];
