/** Orders ids of stream entries (`ms-n`, both whole numbers): negative when a is older. */
export function compareEntryIds(a: string, b: string): number {
  const [aMs, aN] = parts(a);
  const [bMs, bN] = parts(b);
  return aMs - bMs || aN - bN;
}

/** The time of an entry, in ms since 1970 by the clock of Redis: when its events became durable. */
export function entryTime(id: string): number {
  return parts(id)[0];
}

function parts(id: string): [ms: number, n: number] {
  const dash = id.indexOf('-');
  return [Number(id.slice(0, dash)), Number(id.slice(dash + 1))];
}
