/** What runs containers and connects them. */
export interface Containers {
  /** A PATH that has the programs. */
  readonly path: string;
  /** The folder of the network plugins. */
  readonly plugins: string;
  /** What else the programs are to have in their environment. */
  readonly env: Readonly<Record<string, string>>;
  /** The Debian packages of what is nowhere; empty when all is there. */
  readonly lacking: readonly string[];
}
export function findContainers(env: Readonly<Record<string, string | undefined>>): Containers;
