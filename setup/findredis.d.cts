/** A Redis or Valkey server on this machine. `path` may be a wrapper that `exec`s the server: the same pid. */
export interface RedisBinary {
  readonly path: string;
  readonly version: string;
  readonly kind: 'redis' | 'valkey';
}
type Environment = Readonly<Record<string, string | undefined>>;
export function findRedis(env: Environment): Promise<{ found: RedisBinary | null; rejected: string[] }>;
export const variable: string;
