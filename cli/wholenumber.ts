import { InvalidArgumentError } from 'commander';

/**
 * Makes a reader of whole numbers between `min` and `max` for commander.
 * It throws InvalidArgumentError for anything else, which makes commander name the option.
 */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(`Write a whole number from ${min} to ${max}.`);
    }
    return value;
  };
}
