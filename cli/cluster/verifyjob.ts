import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { problem } from '#queue/problem.ts';
import { compareLedger, refuseTornLedger } from '../compare.ts';
import { exitCodes } from '../exitcodes.ts';
import { openLedgerText } from '../ledger.ts';
import { note } from '../output.ts';
import { digestLines, isRowLine, type PrintedRows } from '../rowlines.ts';
import type { Verdict } from '../verdict.ts';
import type { TargetVerdict } from '../verifytarget.ts';
import type { ClusterPlace } from './clusterplace.ts';
import { type ExportedAttempt, exportedAttempt, readingTool, targetFile } from './exportedattempt.ts';
import { runTool } from './runtool.ts';

/** For ever is too long; 100 million rows take some of them. */
const withinSeconds = 6 * 3_600;

/**
 * Proves the export of a session on a cluster again. A Job reads the rows and recomputes chains and root, and what it
 * found is compared here with the root that the session's status kept at the seal. With a ledger, the Job prints a
 * digest of every row, and the ledger, which never leaves this machine, is compared with those here.
 * @throws Problem `not_exported`, `ledger_invalid`, `rows_incomplete`, `verify_failed`
 */
export async function verifyInCluster(
  place: ClusterPlace,
  ledger: string | null,
  signal: AbortSignal,
): Promise<Verdict> {
  if (ledger !== null) refuseTornLedger(ledger);
  const attempt = await exportedAttempt(place);
  const folder = mkdtempSync(join(tmpdir(), 'untradex-verify-'));
  const rows = join(folder, 'rows.csv');
  try {
    const { printed, ...verdict } = await readRows(place, attempt, ledger === null ? null : rows, signal);
    const sealedRoot = attempt.plan.root;
    if (ledger === null) return { ...verdict, sealedRoot };
    const { table } = verdict;
    const found = await compareLedger({ ledger, database: { rows }, table, sessionUid: place.ref.uid });
    return { ...verdict, sealedRoot, ledger: found };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param file takes the rows, when they are wanted */
async function readRows(place: ClusterPlace, attempt: ExportedAttempt, file: string | null, signal: AbortSignal) {
  const { name } = place.ref;
  const output = file === null ? null : openLedgerText(file, 'fresh');
  const digest = digestLines();
  let verdict: TargetVerdict | null = null;
  const onLine = (line: string) => {
    if (isRowLine(line)) {
      output?.append(line);
      digest.add(line);
    } else if (line.startsWith('{"verified":')) verdict = JSON.parse(line) as TargetVerdict;
    else note(line);
  };
  try {
    const inFiles = (attempt.config.sink as { readonly kind: string }).kind === 'duckdb';
    const tool = {
      ...(await readingTool(place, attempt, inFiles)),
      ...{ what: 'verify', withinSeconds },
      args: ['verify', name, '--json', '--target', targetFile, ...(file === null ? [] : ['--rows'])],
    };
    const code = await runTool(place, tool, signal, onLine);
    return complete(verdict, code, file === null ? null : digest.seen);
  } finally {
    output?.close();
  }
}

function complete(verdict: TargetVerdict | null, code: number, seen: PrintedRows | null): TargetVerdict {
  const said = code === exitCodes.ok || code === exitCodes.failed;
  if (verdict === null || !said) {
    throw problem('verify_failed', `the rows could not be read: the Job ended with ${code}`, 'see the lines above');
  }
  const { printed } = verdict;
  if (seen !== null && (printed?.sha256 !== seen.sha256 || printed.lines !== seen.lines)) {
    const message = `${seen.lines} of ${printed?.lines} rows came here: the log of the Job was cut on its way`;
    throw problem('rows_incomplete', message, 'verify again, closer to the cluster; nothing is wrong with the rows');
  }
  return verdict;
}
