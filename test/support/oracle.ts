import { onScopeEnd } from './cleanup.ts';
import { type StartOracleOptions, serveOracle, type TestOracle } from './oracle/server.ts';

export type { StartOracleOptions, TestOracle };

/** A double of Oracle (oracle/server.ts says what it is worth), stopped at the end of the test or file. */
export async function startOracle(options: StartOracleOptions = {}): Promise<TestOracle> {
  const oracle = await serveOracle(options);
  onScopeEnd(() => oracle.stop());
  return oracle;
}
