import { parseArgs } from 'node:util';
import { isProblem } from '#queue/problem.ts';
import { type GatewayConfig, readConfig } from './config.ts';
import { startGateway } from './gateway.ts';
import { createLog, type Logger } from './log.ts';

// node gateway/main.ts --config FILE
// Alone, as a child process with an IPC channel, or as a worker of node:cluster.

/** Beyond the drain itself, which is bounded too: then something hangs that should not. */
const drainSlackMs = 20_000;

function readArguments(): GatewayConfig {
  try {
    const { values } = parseArgs({ options: { config: { type: 'string' } } });
    if (values.config !== undefined) return readConfig(values.config);
    console.error('usage: node gateway/main.ts --config FILE');
  } catch (error) {
    console.error(isProblem(error) ? `${error.message}\n${error.remedy}` : error);
  }
  process.exit(1);
}

/** The first SIGTERM ends in good order, the second at once; so does a parent that is gone. */
function endOnSignals(drain: () => Promise<boolean>, config: GatewayConfig, log: Logger): void {
  let isEnding = false;
  const end = (signal: string) => {
    if (isEnding) process.exit(1);
    isEnding = true;
    log.info({ signal }, 'draining');
    setTimeout(() => process.exit(1), config.drainMs + drainSlackMs).unref();
    drain().then(
      (done) => {
        log.info({ done }, 'drained');
        process.exit(0);
      },
      (error: unknown) => {
        log.fatal({ err: error }, 'the drain failed');
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', end);
  // Ctrl-C goes to the whole group of a terminal: under a parent, the parent says when to drain.
  process.on('SIGINT', process.send === undefined ? end : () => {});
  process.on('disconnect', () => process.exit(1));
}

const config = readArguments();
const log = createLog(config.logLevel, config.session);
process.on('uncaughtException', (error) => {
  log.fatal({ err: error }, 'an error that nobody expected');
  process.exit(1);
});
const gateway = await startGateway(config, log);
endOnSignals(gateway.drain, config, log);
log.info({ port: gateway.port, opsPort: gateway.opsPort, mode: config.mode }, 'listening');
process.send?.({ kind: 'listening', port: gateway.port, opsPort: gateway.opsPort });
