import { timeLiteral } from './columntypes.ts';
import { oraError } from './oraerror.ts';

export interface Token {
  readonly kind: 'word' | 'quoted' | 'string' | 'bind' | 'number' | 'hint' | 'sign';
  /** Words in upper case; quoted names and strings without their quotes; binds as `b1`, `b2`, in order of appearance. */
  readonly text: string;
}

const lexemes =
  /(?<space>\s+|--[^\n]*|\/\*(?!\+)[\s\S]*?\*\/)|(?<hint>\/\*\+[\s\S]*?\*\/)|'(?<string>(?:[^']|'')*)'|"(?<quoted>[^"]+)"|(?<bind>:\w+)|(?<word>[A-Za-z][\w$#]*)|(?<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(?<sign>\|\||<>|!=|<=|>=|=>|:=|[\s\S])/g;

export function tokensOf(sql: string): Token[] {
  const tokens: Token[] = [];
  let binds = 0;
  for (const { groups } of sql.matchAll(lexemes)) {
    const { space, hint, string, quoted, bind, word, number, sign } = groups!;
    if (space !== undefined) continue;
    if (hint !== undefined) tokens.push({ kind: 'hint', text: hint });
    else if (string !== undefined) tokens.push({ kind: 'string', text: string });
    else if (quoted !== undefined) tokens.push({ kind: 'quoted', text: quoted });
    else if (bind !== undefined) tokens.push({ kind: 'bind', text: `b${++binds}` });
    else if (word !== undefined) tokens.push({ kind: 'word', text: word.toUpperCase() });
    else if (number !== undefined) tokens.push({ kind: 'number', text: number });
    else tokens.push({ kind: 'sign', text: sign! });
  }
  if (tokens.at(-1)?.text === ';' && tokens[0]?.text !== 'BEGIN') tokens.pop();
  return tokens;
}

export interface Name {
  readonly schema: string | null;
  readonly name: string;
}

export type TokenReader = ReturnType<typeof tokenReader>;

export function tokenReader(tokens: readonly Token[]) {
  let at = 0;
  const isWord = (token: Token | undefined, word: string) =>
    token !== undefined && token.text === word && (token.kind === 'word' || token.kind === 'sign');
  const reader = {
    done: () => at >= tokens.length,
    peek: (ahead = 0): Token | undefined => tokens[at + ahead],
    next(): Token {
      const token = tokens[at++];
      if (token === undefined) throw oraError(900, 'it ends too early');
      return token;
    },
    /** Takes these words or signs when they come next. */
    accept(...words: readonly string[]): boolean {
      if (!words.every((word, i) => isWord(tokens[at + i], word))) return false;
      at += words.length;
      return true;
    },
    expect(...words: readonly string[]): void {
      if (!reader.accept(...words))
        throw oraError(900, `${words.join(' ')} expected at ${tokens[at]?.text ?? 'its end'}`);
    },
    identifier(): string {
      const token = reader.next();
      if (token.kind !== 'word' && token.kind !== 'quoted') throw oraError(903);
      if (Buffer.byteLength(token.text) > 128) throw oraError(972);
      return token.text;
    },
    name(): Name {
      const first = reader.identifier();
      return reader.accept('.') ? { schema: first, name: reader.identifier() } : { schema: null, name: first };
    },
    /** What stands in the parentheses that open here. */
    parenthesis(): Token[] {
      reader.expect('(');
      const inside = reader.until((token) => token.text === ')' && token.kind === 'sign');
      reader.expect(')');
      return inside;
    },
    /** Everything up to the first token outside of parentheses for which `stop` holds, or all. */
    until(stop: (token: Token) => boolean): Token[] {
      const from = at;
      for (let depth = 0; at < tokens.length; at++) {
        const token = tokens[at]!;
        if (depth === 0 && stop(token)) break;
        if (token.kind === 'sign') depth += token.text === '(' ? 1 : token.text === ')' ? -1 : 0;
      }
      return tokens.slice(from, at);
    },
    rest: (): Token[] => tokens.slice(at),
  };
  return reader;
}

/** Parts between commas that stand outside of parentheses. */
export function byCommas(tokens: readonly Token[]): Token[][] {
  const reader = tokenReader(tokens);
  const parts: Token[][] = [];
  while (!reader.done()) {
    parts.push(reader.until((token) => token.kind === 'sign' && token.text === ','));
    reader.accept(',');
  }
  return parts;
}

/** Finds what a name stands for: a WITH clause for a table or view, or null when there is none of that name. */
export type Resolve = (name: Name) => { readonly alias: string; readonly query: string } | null;

export interface Translated {
  /** SQL for SQLite, without the clause that says what the tables' names mean. */
  readonly text: string;
  /** WITH clauses by alias. */
  readonly tables: ReadonlyMap<string, string>;
}

/** One for one. */
const words: Readonly<Record<string, string>> = {
  MINUS: 'EXCEPT',
  NVL: 'IFNULL',
  TO_CLOB: '',
  LENGTHB: 'OCTET_LENGTH',
  GREATEST: 'MAX',
  LEAST: 'MIN',
  SYSTIMESTAMP: 'systimestamp()',
  CURRENT_TIMESTAMP: 'systimestamp()',
  SYSDATE: 'localtime_of_session()',
  LOCALTIMESTAMP: 'localtime_of_session()',
  USER: 'session_user()',
};

/** An expression or query in SQLite's words. */
export function translate(tokens: readonly Token[], resolve: Resolve): Translated {
  const reader = tokenReader(tokens);
  const tables = new Map<string, string>();
  const out: string[] = [];
  let offset = '';
  while (!reader.done()) {
    const before = out.at(-1);
    const next = reader.peek(1);
    if (reader.accept('OFFSET')) {
      offset = ` OFFSET ${single(reader.next())}`;
      if (!reader.accept('ROWS')) reader.expect('ROW');
      if (!reader.accept('FETCH')) out.push(`LIMIT -1${offset}`);
      else out.push(`${limit(reader)}${offset}`);
    } else if (reader.accept('FETCH')) out.push(limit(reader));
    else if ((reader.peek()!.text === 'TIMESTAMP' || reader.peek()!.text === 'DATE') && next?.kind === 'string') {
      reader.next();
      const time = `'${timeLiteral(reader.next().text)}'`;
      if (!reader.accept('+', 'NUMTODSINTERVAL')) out.push(time);
      else {
        const interval = translate(reader.parenthesis(), resolve);
        for (const [alias, query] of interval.tables) tables.set(alias, query);
        out.push(`moved_by(${time}, ${interval.text})`);
      }
    } else if (reader.accept('DBMS_LOB', '.', 'GETLENGTH')) out.push('LENGTH');
    else {
      const found = before === '.' ? null : named(reader, resolve);
      if (found === null) out.push(single(reader.next()));
      else {
        tables.set(found.alias, found.query);
        out.push(`"${found.alias}"`);
      }
    }
  }
  return { text: out.join(' '), tables };
}

function limit(reader: TokenReader): string {
  if (!reader.accept('FIRST')) reader.expect('NEXT');
  const count = reader.peek()?.text === 'ROW' ? '1' : single(reader.next());
  if (!reader.accept('ROWS')) reader.expect('ROW');
  reader.expect('ONLY');
  return `LIMIT ${count}`;
}

function named(reader: TokenReader, resolve: Resolve) {
  const [first, dot, second] = [reader.peek(), reader.peek(1), reader.peek(2)];
  const isName = (token: Token | undefined) => token?.kind === 'word' || token?.kind === 'quoted';
  if (!isName(first)) return null;
  if (dot?.text === '.' && isName(second)) {
    const found = resolve({ schema: first!.text, name: second!.text });
    if (found !== null) {
      reader.next();
      reader.next();
      reader.next();
      return found;
    }
  }
  const found = dot?.text === '(' ? null : resolve({ schema: null, name: first!.text });
  if (found !== null) reader.next();
  return found;
}

function single({ kind, text }: Token): string {
  switch (kind) {
    case 'string':
      return text === '' ? 'NULL' : `'${text}'`;
    case 'quoted':
      return `"${text}"`;
    case 'bind':
      return `:${text}`;
    case 'hint':
      return '';
    case 'word':
      return words[text] ?? text;
    default:
      return text;
  }
}

/** The whole statement: `lead` is what stands before the query, such as an INSERT. */
export function withTables({ text, tables }: Translated, lead = '', more: readonly string[] = []): string {
  const own = /^WITH\b/.exec(text) !== null;
  const clauses = [...tables].map(([alias, query]) => `"${alias}" AS NOT MATERIALIZED (${query})`);
  if (own) {
    if (lead !== '' || more.length > 0) throw oraError(900, 'no WITH within an INSERT');
    return `WITH ${[...clauses, text.slice(4)].join(', ')}`;
  }
  const all = [...clauses, ...more];
  return `${all.length > 0 ? `WITH ${all.join(', ')} ` : ''}${lead}${text}`;
}
