import { createServer } from 'node:net';

/** A port that nobody listens on, from the system. */
export async function freePort(host: string): Promise<number> {
  const port = await listenOnce(host, 0);
  if (port === null) throw new Error(`no port is free on ${host}`);
  return port;
}

/** Whether a port can be listened on now. */
export async function isPortFree(host: string, port: number): Promise<boolean> {
  return (await listenOnce(host, port)) !== null;
}

/** The port that was got, given back at once; null when it is taken. Other errors (no such host) are thrown. */
function listenOnce(host: string, port: number): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(null);
      else reject(error);
    });
    server.listen({ host, port, exclusive: true }, () => {
      const { port: got } = server.address() as { port: number };
      server.close(() => resolve(got));
    });
  });
}
