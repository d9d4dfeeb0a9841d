import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { reportPage, writePage } from '#exporter/report/page.ts';
import { createTimeline } from '#exporter/report/timeline.ts';
import { makeReport, type Report } from '#exporter/report.ts';
import { tmpFolder } from '#test/support/tmp.ts';
import { fullFacts, fullReport } from './fullreport.ts';

const facts = fullFacts();
const good: Report = makeReport({
  ...facts,
  verification: { ...facts.verification, verified: true, rows: 100, root: facts.plan.root, differences: [] },
});
const page = reportPage(good);

const all = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([, found]) => found!);

describe('the page of a report', () => {
  test('says the verdict first, in words and counts, before anything else', () => {
    const text = textOf(page.slice(page.indexOf('<main>')));
    expect(text).toMatch(
      /^VERIFIED 100 answers were sealed in the queue, all that were ever acknowledged among them\./,
    );
    expect(text).toContain('sealed 100 exported 100 missing 0 twice 0 out of order 0');
    const order = ['verdict', 'audit', 'roster', 'exam', 'export'].map((id) => page.indexOf(`<h2 id="${id}">`));
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    expect(order).not.toContain(-1);
  });

  test('says what differs, and that nothing is to be released', () => {
    const text = textOf(reportPage(fullReport()));
    for (const part of ['NOT VERIFIED', 'Release nothing', 'missing 1', 'student cleo, writer w, seq 4: gone']) {
      expect(text).toContain(part);
    }
  });

  test('has all that an auditor compares, and attempts and retries', () => {
    const text = textOf(page);
    const { receipts, shards, sealedRoot } = good;
    const told = [sealedRoot, receipts!.keyId, receipts!.publicKey.split('\n')[1]!, shards[0]!.logDigest];
    const sha256 = createHash('sha256')
      .update(`${JSON.stringify(good, null, 2)}\n`)
      .digest('hex');
    for (const part of [...told, shards[1]!.staged!.digest, sha256, 'untradex verify algebra --data DIR']) {
      expect(text).toContain(part);
    }
    expect(text).toContain('loader of shard 0: killed; publisher: database_unreachable');
    expect(text).toContain('publish ORA-00054 9');
    expect(text).toContain('Back up EXAM_ANSWERS now');
  });

  test('follows from the report alone, also one that was read from its file', () => {
    expect(reportPage(structuredClone(good))).toBe(page);
    expect(reportPage(JSON.parse(JSON.stringify(good)) as Report)).toBe(page);
  });

  test('asks nobody for anything and runs nothing: its one style sheet is known by its hash', () => {
    const [policy] = all(page, /http-equiv="Content-Security-Policy" content="([^"]+)"/g);
    const [style] = all(page, /<style>([\s\S]*?)<\/style>/g);
    const hash = createHash('sha256').update(style!).digest('base64');
    expect(policy).toBe(
      `default-src &#39;none&#39;; style-src &#39;sha256-${hash}&#39;; base-uri &#39;none&#39;; form-action &#39;none&#39;`,
    );
    expect(page).not.toMatch(/<script|<link|<img|<iframe|<object|<a |\ssrc=|\shref=|\sstyle=|\son\w+=|url\(|@import/i);
    expect(page.replaceAll(/https?:\/\//g, '')).toBe(page);
  });

  test('shows what is in names and ids, and does nothing of it', () => {
    const evil = `"><script>alert('x')</script><img src=x onerror=alert(1)> &amp; </title></style>`;
    const turned = `${evil}\u202Egnp\u0000\u0007`;
    const { verification, plan, published } = facts;
    const hostile = makeReport({
      ...facts,
      plan: { ...plan, table: evil, session: { ...plan.session, name: `$(reboot) ${evil}`, exam: turned, uid: evil } },
      ...{ target: evil, sinkVersion: evil, published: { ...published, table: evil, digest: evil } },
      roster: { students: 3, file: evil, fileSha256: evil },
      verification: {
        ...verification,
        ...{ absent: [turned, evil], unknown: [turned] },
        differences: [{ kind: 'foreign', student: turned, writer: evil, seq: 1, text: `student ${turned}` }],
      },
      retries: [{ step: evil, code: evil, count: 1 }],
      diaries: facts.diaries.map((entry) => ({ ...entry, code: entry.code === null ? null : evil })),
    });
    const shown = reportPage(hostile);
    for (const part of ['<script', '<img', "alert('", '\u202E', '\u0000', '\u0007']) expect(shown).not.toContain(part);
    expect(shown.match(/<\/title>|<\/style>/g)).toHaveLength(2);
    expect(tagsOf(shown)).toEqual(tagsOf(shown).filter((tag) => knownTags.has(tag)));
    expect(textOf(shown)).toContain(`${evil}\\u202Egnp\uFFFD\uFFFD`);
    expect(textOf(shown)).toContain('untradex verify NAME --data DIR');
  });

  test('can be read without seeing the plots, and found in by its headings', () => {
    const ids = all(page, /\sid="([^"]+)"/g);
    expect(new Set(ids).size).toBe(ids.length);
    const named = all(page, /aria-(?:labelledby|describedby)="([^"]+)"/g);
    expect(named.filter((id) => !ids.includes(id))).toEqual([]);
    const plots = all(page, /<svg class="(?:wide|narrow)"([^>]*)>/g);
    expect(plots).toHaveLength(2 * 5);
    for (const plot of plots) expect(plot).toMatch(/role="img" aria-labelledby="[\w-]+" aria-describedby="[\w-]+"/);
    const levels = all(page, /<h([1-6])/g).map(Number);
    expect(levels.filter((level) => level === 1)).toHaveLength(1);
    for (const [i, level] of levels.entries()) expect(level - (levels[i - 1] ?? 0)).toBeLessThanOrEqual(1);
    expect(page).not.toMatch(/<th(?![^>]*scope=)[\s>]/);
    expect(page).toContain('<html lang="en">');
  });

  test('has contrast in light and in dark', () => {
    const [light, dark] = all(page, /:root\{(?:color-scheme:light dark;)?(--paper[^}]+)\}/g).map(coloursOf);
    for (const colours of [light!, dark!]) {
      for (const ink of ['ink', 'quiet']) expect(contrast(colours, ink, 'paper'), ink).toBeGreaterThanOrEqual(4.5);
      expect(contrast(colours, 'good', 'good-card')).toBeGreaterThanOrEqual(4.5);
      expect(contrast(colours, 'bad', 'bad-card')).toBeGreaterThanOrEqual(4.5);
      for (const card of ['good-card', 'bad-card', 'warn-card', 'card']) {
        expect(contrast(colours, 'ink', card), card).toBeGreaterThanOrEqual(4.5);
        expect(contrast(colours, 'quiet', card), card).toBeGreaterThanOrEqual(4.5);
      }
      for (let series = 0; series < 8; series++) {
        expect(contrast(colours, `s${series}`, 'paper'), `s${series}`).toBeGreaterThanOrEqual(3);
      }
    }
  });

  test('is there when there is little to say: no answers, no roster, no samples, no key, nothing staged', () => {
    const empty = makeReport({
      ...facts,
      ...{ loaded: [], roster: null, samples: null, timeline: null, receiptPublicKey: null, diaries: [], retries: [] },
      verification: { ...good, verified: true, absent: null, unknown: null, more: false, root: facts.plan.root },
    });
    const text = textOf(reportPage(empty));
    expect(text).toContain('No answers were given.');
    expect(text).toContain('There was no roster');
    expect(text).toContain('Nothing had to be tried again.');
    expect(text).not.toMatch(/undefined|NaN|null|Infinity/);
    expect(textOf(page)).not.toMatch(/undefined|NaN|Infinity/);
  });

  test('stays small with very many shards', () => {
    const report = makeReport(fullFacts(1_024));
    expect(JSON.stringify(report).length).toBeLessThan(1_000_000);
    expect(reportPage(report).length).toBeLessThan(2_000_000);
  });

  test('a single moment is a plot, too', () => {
    const timeline = createTimeline(1);
    timeline.add(0, 5_000, 7);
    const { shards, ...rest } = good;
    const one = { ...rest, shards: shards.slice(0, 1), timeline: timeline.end(), samples: null };
    expect(reportPage(one)).not.toContain('NaN');
  });

  test('is written for its owner only, and only for reports of this format', async () => {
    const path = join(tmpFolder('page'), 'report.html');
    await writePage(path, good);
    expect(readFileSync(path, 'utf8')).toBe(page);
    expect(statSync(path).mode & 0o077).toBe(0);
    const old = { ...good, format: 1 } as unknown as Report;
    await expect(writePage(path, old)).rejects.toMatchObject({ code: 'report_format' });
  });
});

const knownTags = new Set([page, reportPage(fullReport())].flatMap(tagsOf));

function tagsOf(markup: string): string[] {
  return [...new Set(all(markup.replace(/<style>[\s\S]*<\/style>/, ''), /<\/?([a-z0-9]+)/gi))].sort();
}

/** What is read: the text of the body, as a browser would show it. */
function textOf(markup: string): string {
  return markup
    .replace(/^[\s\S]*<body>/, '')
    .replaceAll(/<svg[\s\S]*?<\/svg>/g, '')
    .replaceAll(/<\/?(?:bdi|strong|code)>/g, '')
    .replaceAll(/<[^>]+>/g, ' ')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&amp;', '&')
    .replaceAll(/\s+/g, ' ')
    .trim();
}

type Colours = ReadonlyMap<string, string>;

function coloursOf(text: string): Colours {
  return new Map(all(text, /--([\w-]+:#[0-9a-f]+)/g).map((pair) => pair.split(':#') as [string, string]));
}

/** As WCAG 2 defines it. */
function contrast(colours: Colours, one: string, other: string): number {
  const [light, dark] = [one, other].map((name) => luminance(colours.get(name)!)).sort((a, b) => b - a);
  return (light! + 0.05) / (dark! + 0.05);
}

function luminance(hex: string): number {
  const six = hex.length === 3 ? [...hex].map((digit) => digit + digit).join('') : hex;
  const [red, green, blue] = [0, 2, 4].map((at) => {
    const share = Number.parseInt(six.slice(at, at + 2), 16) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!;
}
