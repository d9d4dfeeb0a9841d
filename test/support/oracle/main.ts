import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { serveOracle } from './server.ts';

// A double of Oracle as a process of its own, for demos and measurements:
// `node test/support/oracle/main.ts [--port N] [--file FILE]` prints where it is and who may log in, as one line of JSON,
// and ends at SIGINT or SIGTERM.

const { values } = parseArgs({ options: { port: { type: 'string' }, file: { type: 'string' } } });
const oracle = await serveOracle({
  ...(values.port === undefined ? {} : { port: Number(values.port) }),
  ...(values.file === undefined ? {} : { file: values.file }),
});
const { connectString, user, password } = oracle;
process.stdout.write(`${JSON.stringify({ connectString, user, password })}\n`);
await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
await oracle.stop();
