/** The pages: every relative link leads somewhere, every file named is there, and every page of techdoc/ is at most two clicks from the README. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

function pagesIn(folder: string): readonly string[] {
  const names = readdirSync(ROOT + folder).filter((name) => name.endsWith('.md'));
  return names.map((name) => path.posix.join(folder, name));
}

const PAGES = [...pagesIn('.'), ...pagesIn('techdoc')];

/** Code is no link, whatever it looks like. */
function proseOf(page: string): string {
  return readFileSync(ROOT + page, 'utf8')
    .replace(/^```[\s\S]*?^```/gm, '')
    .replace(/`[^`\n]*`/g, (code) => code.replace(/[[\]()]/g, ''));
}

interface Link {
  readonly target: string;
  /** '' without one */
  readonly anchor: string;
}

/** Relative links of a page, with paths from the root of the project. */
function linksOf(page: string): readonly Link[] {
  const links = [...proseOf(page).matchAll(/\]\(([^()\s]+)\)/g)].map(([, link = '']) => link);
  return links
    .filter((link) => !/^[a-z]+:/.test(link))
    .map((link) => {
      const [file = '', anchor = ''] = link.split('#');
      const target = file === '' ? page : path.posix.join(path.posix.dirname(page), file);
      return { target, anchor };
    });
}

/** As GitHub makes them of headings. */
function anchorsOf(page: string): ReadonlySet<string> {
  const headings = [...proseOf(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => heading);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

describe('pages', () => {
  for (const page of PAGES)
    it(`${page} has only links that lead somewhere`, () => {
      for (const { target, anchor } of linksOf(page)) {
        assert.ok(existsSync(ROOT + target), `${page} -> ${target}`);
        if (anchor !== '') assert.ok(anchorsOf(target).has(anchor), `${page} -> ${target}#${anchor}`);
      }
    });

  for (const page of PAGES)
    it(`${page} names only files that exist`, () => {
      const text = readFileSync(ROOT + page, 'utf8');
      const files = [...text.matchAll(/`((?:src|test|fixtures)\/[\w./-]+)`/g)].map(([, file = '']) => file);
      for (const file of files) assert.ok(existsSync(ROOT + file), `${page} names ${file}`);
    });

  it('of techdoc are at most two clicks from the README', () => {
    const from = (pages: readonly string[]): readonly string[] =>
      pages
        .filter((page) => page.endsWith('.md'))
        .flatMap((page) => linksOf(page).map(({ target }) => target));
    const first = from(['README.md']);
    const reached = new Set([...first, ...from(first)]);
    assert.deepEqual(
      pagesIn('techdoc').filter((page) => !reached.has(page)),
      [],
    );
  });
});
