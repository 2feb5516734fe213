/** What a terminal shows, with its colours, as an SVG: light and dark, without scripts, fonts or files of others. Pure. */
import { escapeHtml } from '../../src/output/html/escape.ts';

/** The codes of src/output/colour.ts. */
const CLASSES: { readonly [code: string]: string } = {
  '1': 'bold',
  '2': 'dim',
  '31': 'red',
  '32': 'green',
  '33': 'yellow',
};

/** Pixels of a character at the size below; each run of a colour begins at its column, so other fonts stay in line. */
const ADVANCE = 7.8;
const LINE = 18;
const MARGIN = 16;

const STYLE = [
  'text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#1f2328;white-space:pre}',
  'rect{fill:#f6f8fa;stroke:#d1d9e0}',
  '.bold{font-weight:bold}.dim{fill:#59636e}.red{fill:#b31d28}.green{fill:#116329}.yellow{fill:#7d4e00}',
  '@media (prefers-color-scheme:dark){text{fill:#e6edf3}rect{fill:#0d1117;stroke:#3d444d}',
  '.dim{fill:#9198a1}.red{fill:#ff7b72}.green{fill:#7ee787}.yellow{fill:#e3b341}}',
].join('');

/** @param about what a reader who does not see it hears */
export function terminalSvg(about: string, text: string): string {
  const lines = text.split('\n');
  const columns = Math.max(...lines.map((line) => plain(line).length));
  const [width, height] = [columns * ADVANCE + 2 * MARGIN, lines.length * LINE + 2 * MARGIN].map(Math.ceil);
  const drawn = lines.map((line, at) => {
    const y = MARGIN + (at + 1) * LINE - 5;
    return runsOf(line)
      .filter((run) => run.text.trim() !== '')
      .map(({ text, column, name }) => {
        const x = (MARGIN + column * ADVANCE).toFixed(1);
        const length = (text.length * ADVANCE).toFixed(1);
        const style = name === null ? '' : ` class="${name}"`;
        return `<text x="${x}" y="${y}" textLength="${length}"${style}>${escapeHtml(text)}</text>\n`;
      })
      .join('');
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">
<title>${escapeHtml(about)}</title>
<style>${STYLE}</style>
<rect x="0.5" y="0.5" width="${(width ?? 0) - 1}" height="${(height ?? 0) - 1}" rx="8"/>
${drawn.join('')}</svg>
`;
}

interface Run {
  readonly text: string;
  readonly column: number;
  /** class of its colour */
  readonly name: string | null;
}

const ESCAPE = /\x1b\[(\d+)m/;

function plain(line: string): string {
  return line.replace(/\x1b\[\d+m/g, '');
}

/** Blanks before a run are its column. */
function runsOf(line: string): readonly Run[] {
  const [first = '', ...rest] = line.split(ESCAPE);
  const runs: Run[] = [];
  let column = 0;
  const add = (text: string, code: string): void => {
    const blanks = text.length - text.trimStart().length;
    const name = CLASSES[code] ?? null;
    if (name === null && code !== '0') throw new Error(`no colour for code ${code}`);
    runs.push({ text: text.trim(), column: column + blanks, name });
    column += text.length;
  };
  add(first, '0');
  for (let at = 0; at < rest.length; at += 2) add(rest[at + 1] ?? '', rest[at] ?? '');
  return runs;
}
