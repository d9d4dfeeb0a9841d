/** Every default of the resource. Left out here: `exam` and `auth.audience` (the session's name), the counts that the plan works out, and what has no default. */
export const sessionDefaults = {
  phase: 'Active',
  provisionLeadMinutes: 30,
  graceSeconds: 10,
  late: 'Refuse',
  autoFinalize: false,
  rehearsal: false,
  answers: { perStudent: 200, bytes: 250 },
  auth: { secretRef: { key: 'token.key' } },
  roster: { configMap: { key: 'roster.csv' } },
  gateway: { studentsPerReplica: 5_000, autoscale: false },
  redis: { studentsPerShard: 10_000 },
  export: { table: 'EXAM_ANSWERS', batchRows: 5_000, postgres: { port: 5_432, schema: 'public', tls: 'Verify' } },
} as const satisfies Record<string, unknown>;
