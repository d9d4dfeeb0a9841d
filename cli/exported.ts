import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ExporterConfig, readConfig } from '#exporter/config.ts';
import type { OracleSettings } from '#exporter/sinks/oracle/config.ts';
import type { PostgresSettings } from '#exporter/sinks/postgres/config.ts';
import { readJson } from '#operator/local/datafolder.ts';
import { exporterConfig } from '#operator/local/exporterconfig.ts';
import type { LocalIdentity } from '#operator/local/identityfile.ts';
import type { AttemptPlan } from '#operator/plan.ts';
import { problem } from '#queue/problem.ts';
import { type Folder, readGivenFile } from './folder.ts';
import { readStatus } from './statusfile.ts';

/** The attempt whose rows are in the table: what was sealed, and where its rows are. @throws Problem `not_exported` */
export async function readExported(folder: Folder): Promise<AttemptPlan> {
  const status = await readStatus(folder);
  const attempt = status?.export?.state === 'succeeded' ? status.export.attempt : null;
  const plan = attempt === null ? null : await readJson<AttemptPlan>(folder.at.attempt(attempt).attempt);
  if (plan !== null) return plan;
  const { name } = folder.session.metadata;
  throw problem(
    'not_exported',
    `${name} is not exported yet: it is ${status?.phase ?? 'not running'}`,
    `end it with \`untradex finalize ${name} --data ${folder.at.root} --wait\``,
  );
}

/** The exporter's own configuration for that attempt, with the shards where `identity` says that they are now. */
export function exporterConfigOf(folder: Folder, identity: LocalIdentity, plan: AttemptPlan): ExporterConfig {
  const publicKey = readGivenFile(folder.at.keys.receiptPublic, '--data');
  const own = mkdtempSync(join(tmpdir(), 'untradex-verify-'));
  try {
    const file = join(own, 'plan.json');
    writeFileSync(file, JSON.stringify(exporterConfig(folder.at, identity, plan, publicKey)), { mode: 0o600 });
    return readConfig(file);
  } finally {
    rmSync(own, { recursive: true, force: true });
  }
}

/** Where the rows are: the DuckDB file, or the server. */
export function exportedDatabase({ sink }: ExporterConfig): string | PostgresSettings | OracleSettings {
  return sink.kind === 'duckdb' ? sink.database : sink;
}
