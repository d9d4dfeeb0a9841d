/** HTML that is safe to be written as it is. Only `html` and `trusted` make it. */
export interface Markup {
  readonly markup: string;
}

export type Content = string | number | null | Markup | readonly Content[];

/** A template whose values are escaped, unless they are {@link Markup}; lists are joined, null is nothing. */
export function html(strings: TemplateStringsArray, ...values: Content[]): Markup {
  return { markup: strings.reduce((all, text, i) => all + textOf(values[i - 1] ?? null) + text) };
}

/** Text of our own source, never of data. */
export function trusted(markup: string): Markup {
  return { markup };
}

/** Someone's own text within a sentence: one that is written from right to left leaves what is around it alone. */
export function foreign(text: string): Markup {
  return html`<bdi>${text}</bdi>`;
}

function textOf(value: Content): string {
  if (value === null) return '';
  if (typeof value === 'string') return escaped(value);
  if (typeof value === 'number') return String(value);
  if ('markup' in value) return value.markup;
  return value.map(textOf).join('');
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Characters that turn the direction of what follows: with them a name could look like another one. */
const turning = /[\u202A-\u202E\u2066-\u2069]/g;

/** Control characters are no text in HTML: they become the sign for what cannot be shown. */
function escaped(text: string): string {
  return text
    .toWellFormed()
    .replace(/(?![\n\t])\p{Cc}/gu, '\uFFFD')
    .replace(turning, (sign) => `\\u${sign.charCodeAt(0).toString(16).toUpperCase()}`)
    .replace(/[&<>"']/g, (character) => entities[character]!);
}
