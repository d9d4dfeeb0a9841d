import { InvalidArgumentError, Option } from 'commander';

const units: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * Reads a duration such as `90s`, `10m`, `4h` or `1h30m` for commander.
 * @returns milliseconds
 * @throws InvalidArgumentError, which makes commander name the option
 */
export function duration(text: string): number {
  if (!/^(\d+(ms|s|m|h|d))+$/.test(text)) {
    throw new InvalidArgumentError('Write a number and a unit: 90s, 10m, 4h, 1h30m.');
  }
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+)(ms|s|m|h|d)/g)) total += Number(amount) * units[unit!]!;
  if (total === 0 || !Number.isSafeInteger(total)) throw new InvalidArgumentError('It must be more than nothing.');
  return total;
}

/** An option that takes a duration. @param preset its default, which --help shows as it is written; none when left out */
export function durationOption(flags: string, description: string, preset?: string): Option {
  const option = new Option(flags, description).argParser(duration);
  return preset === undefined ? option : option.default(duration(preset), preset);
}
