import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readExamSession } from '#operator/examsession.ts';
import { type Exit, type Program, startProgram } from '#test/support/process.ts';
import { tmpFolder } from '#test/support/tmp.ts';

const main = join(import.meta.dirname, '../../cli/main.ts');

/** Starts `untradex` with these arguments, as a user would from a shell that is no terminal. */
export function startCli(args: readonly string[], options: { detached?: boolean } = {}): Program {
  return startProgram({ argv: [process.execPath, main, ...args], ...options });
}

/** Runs `untradex` to its end. */
export async function runCli(
  args: readonly string[],
  timeoutMs = 20_000,
): Promise<Exit & { stdout: string; stderr: string }> {
  const program = startCli(args);
  const exit = await program.ended(timeoutMs);
  return { ...exit, stdout: program.stdout, stderr: program.stderr };
}

export const algebra = `# The exam of spring
apiVersion: untradex.io/v1alpha1
kind: ExamSession
metadata:
  name: algebra # short
spec:
  students: 40
  # nobody is late
  graceSeconds: 1
`;

/** The key of `sessionFolder`, as `run` would have made it. */
export const tokenKey = Buffer.alloc(32, 7);

/** A data folder as `run` leaves it, as far as the commands beside it look: session and signing key. */
export function sessionFolder(yaml = algebra): string {
  const folder = tmpFolder('cli');
  writeFileSync(join(folder, 'session.yaml'), yaml);
  const session = readExamSession(yaml);
  const { name } = session.metadata;
  const identity = {
    format: 1,
    uid: randomUUID(),
    name,
    createdAt: '',
    gatewayPort: 0,
    generation: 1,
    session,
    shards: [],
  };
  writeFileSync(join(folder, 'identity.json'), JSON.stringify(identity));
  mkdirSync(join(folder, 'keys'), { mode: 0o700 });
  writeFileSync(join(folder, 'keys', 'token.key'), tokenKey.toString('base64url'), { mode: 0o600 });
  return folder;
}
