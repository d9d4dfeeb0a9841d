import { readFileSync } from 'node:fs';

/** A page's headings as GitHub makes anchors of them, and anchors that it sets itself. */
export function anchorsOf(page: string): string[] {
  const text = withoutExamples(readFileSync(page, 'utf8'));
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, title]) => slug(title!));
  const own = [...text.matchAll(/<a id="([^"]+)">/g)].map(([, id]) => id!);
  return [...headings, ...own];
}

/** Links of a page: a path (empty: the page itself) and an anchor, if any. Links to elsewhere are left out. */
export function linksOf(page: string): { readonly path: string; readonly anchor: string | null }[] {
  return [...withoutExamples(readFileSync(page, 'utf8')).matchAll(/\]\(([^)#\s]*)(?:#([^)\s]*))?\)/g)]
    .filter(([, path]) => !/^[a-z]+:/.test(path!))
    .map(([, path, anchor]) => ({ path: path!, anchor: anchor ?? null }));
}

function withoutExamples(text: string): string {
  return text.replaceAll(/^```[\s\S]*?^```/gm, '').replaceAll(/`[^`\n]*`/g, (code) => code.replaceAll('](', ''));
}

function slug(title: string): string {
  return title
    .replaceAll(/[`*]/g, '')
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
    .replaceAll(' ', '-');
}
