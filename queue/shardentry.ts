import { z } from 'zod';
import type { Endpoint } from './client.ts';
import { configText } from './configfile.ts';

/** One shard as it stands in a program's configuration. Secrets and certificates are files, named by their paths. */
export const shardEntry = z.strictObject({
  host: configText,
  port: z.int().min(1).max(65_535),
  username: configText.nullish(),
  passwordFile: configText.nullish(),
  tls: z
    .strictObject({
      caFile: configText.optional(),
      certFile: configText.optional(),
      keyFile: configText.optional(),
      servername: configText.optional(),
    })
    .nullish(),
  incarnation: configText,
});

/**
 * Where that shard is, with its files read.
 * @param read gives the text of a file that a field of the entry names
 */
export function endpointOf(
  entry: z.output<typeof shardEntry>,
  read: (field: string, path: string) => string,
): Endpoint {
  const { host, port, username, passwordFile, tls } = entry;
  return {
    host,
    port,
    ...(username ? { username } : {}),
    ...(passwordFile ? { password: read('passwordFile', passwordFile) } : {}),
    ...(tls
      ? {
          tls: {
            ...(tls.caFile ? { ca: read('tls.caFile', tls.caFile) } : {}),
            ...(tls.certFile ? { cert: read('tls.certFile', tls.certFile) } : {}),
            ...(tls.keyFile ? { key: read('tls.keyFile', tls.keyFile) } : {}),
            ...(tls.servername ? { servername: tls.servername } : {}),
          },
        }
      : {}),
  };
}
