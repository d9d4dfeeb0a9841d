import { constants } from 'node:os';
import { CommanderError } from 'commander';
import { isProblem } from '#queue/problem.ts';

/** What every command ends with. Scripts may rely on these. */
export const exitCodes = {
  /** Done, and the answer is yes. */
  ok: 0,
  /** Done, and the answer is no: Failed, not verified, something is missing. */
  failed: 1,
  /** The time given by --timeout is over. */
  timeout: 2,
  /** An option or argument is wrong. */
  usage: 64,
  /** A file does not fit: the session's YAML, the data folder, a ledger. */
  input: 65,
  /** It could not be done; the message says what to mend. */
  unable: 69,
  /** A defect in this program. */
  defect: 70,
  /** Stopped by Ctrl-C (128 + SIGINT). */
  interrupted: 128 + constants.signals.SIGINT,
  /** Stopped by SIGTERM (128 + SIGTERM). */
  terminated: 128 + constants.signals.SIGTERM,
} as const satisfies Record<string, number>;

const ofProblem: Record<string, number> = {
  session_invalid: exitCodes.input,
  session_unusable: exitCodes.input,
  session_unknown: exitCodes.input,
  folder_empty: exitCodes.input,
  folder_in_use: exitCodes.input,
  file_missing: exitCodes.input,
  ledger_invalid: exitCodes.input,
  sink_file_invalid: exitCodes.input,
  not_a_rehearsal: exitCodes.input,
  target_invalid: exitCodes.input,
  kubeconfig_invalid: exitCodes.input,
  no_signing_key: exitCodes.input,
  roots_differ: exitCodes.failed,
  report_changed: exitCodes.failed,
  usage: exitCodes.usage,
  timeout: exitCodes.timeout,
};

/** The exit code that an error thrown by a command leads to. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  if (!isProblem(error)) return exitCodes.defect;
  return ofProblem[error.code] ?? exitCodes.unable;
}

/** The exit code for a command that a signal stopped. */
export function exitCodeOfSignal(signal: 'SIGINT' | 'SIGTERM'): number {
  return signal === 'SIGINT' ? exitCodes.interrupted : exitCodes.terminated;
}
