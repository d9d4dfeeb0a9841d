/** PostgreSQL's server programs on this machine: `bin` holds `postgres` and `initdb`. */
export interface PostgresPrograms {
  readonly bin: string;
  readonly version: string;
}
type Environment = Readonly<Record<string, string | undefined>>;
export function findPostgres(env: Environment): Promise<{ found: PostgresPrograms | null; rejected: string[] }>;
export const variable: string;
