import { z } from 'zod';
import type { Endpoint } from './client.ts';

const text = z
  .string()
  .min(1)
  .refine((value) => value.isWellFormed() && !value.includes('\0'), 'must be well-formed text without NUL');

/** One shard as it stands in a program's configuration. Secrets and certificates are files, named by their paths. */
export const shardEntry = z.strictObject({
  host: text,
  port: z.int().min(1).max(65_535),
  username: text.nullish(),
  passwordFile: text.nullish(),
  tls: z
    .strictObject({
      caFile: text.optional(),
      certFile: text.optional(),
      keyFile: text.optional(),
      servername: text.optional(),
    })
    .nullish(),
  incarnation: text,
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
