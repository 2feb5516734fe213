/**
 * The parts of the bundle: what every run needs, what a run with mail needs as well, and the rest. A start reads and compiles
 * only those that it needs.
 *
 * esbuild splits the program into chunks, which are ES modules; a part is a script, because only scripts have a code cache. It
 * evaluates to an object of functions, one for each chunk, which bin/compile.js calls when the chunk is first needed.
 */
import { join, relative } from 'node:path';
import { Script } from 'node:vm';

/** By part, which is also the name of its file: the modules that it has, with what they import that no part before has. */
const PARTS = {
  spoolroom: ['src/cli/shell/start.ts', 'src/cli/commands/run.ts'],
  'spoolroom.delivery': [
    'src/cli/setup/delivery/open-delivery.ts',
    'src/runner/deliveries.ts',
    'src/net-stream-utils/tls.ts',
    'src/platform/dns/stub-resolver.ts',
    'src/tls-policy/sts-policies.ts',
    'src/tls-policy/sts-cache.ts',
    'src/tls-policy/sts-fetch.ts',
    'src/tls-report/send.ts',
    'src/dkim/signer.ts',
    'src/dkim/keyring.ts',
    'src/metrics/running.ts',
    'src/metrics/files.ts',
    'src/metrics/notifier.ts',
    'src/metrics/alert-message.ts',
    'src/output/log/syslog.ts',
    'node_modules/winston/lib/winston.js',
    'nodemailer/lib/mime-node',
  ],
  'spoolroom.rest': [],
};

/** What is imported dynamically begins a chunk; by importing all of the first part it keeps that in one piece. */
export const begins = {
  name: 'begins',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^\.\.?\// }, async ({ path, kind, namespace, resolveDir }) =>
      kind === 'dynamic-import' && namespace === 'file'
        ? { path: relative(process.cwd(), join(resolveDir, path)), namespace: 'begins' }
        : undefined,
    );
    onLoad({ filter: /./, namespace: 'begins' }, ({ path }) => ({
      contents: [
        ...PARTS.spoolroom.map((first) => `import './${first}';`),
        `export * from './${path}';`,
      ].join('\n'),
      resolveDir: process.cwd(),
    }));
  },
};

/** Of Node, or of a chunk. */
const FROM = String.raw`"((?:node:)?[a-z_/]+|\./[\w.-]+\.js)"`;
const STATIC = new RegExp(
  String.raw`\bimport\s*(?:(\{[\w$,\s]*\}|\*\s*as\s+[\w$]+|[\w$]+)\s*from\s*)?${FROM};`,
  'g',
);
const DYNAMIC = new RegExp(String.raw`\bimport\(${FROM}\)`, 'g');
const EXPORT = /\bexport\s*(?:\{([^}]*)\}|default ([^;]*));\s*$/;
/** As the names of an import or export have it. */
const RENAMED = /([\w$]+)\s+as\s+([\w$]+)/g;

const nameOf = (output) => /([^/]+)\.js$/.exec(output)?.[1];

/**
 * A chunk as a function of `chunk`, which has what another chunk exports, and `require`. No export of esbuild's chunks changes
 * later. `call` makes a call of the former.
 */
function asFunction(text, call) {
  const [, names = '', value] = EXPORT.exec(text) ?? [];
  const moduleAt = (from) => (nameOf(from) ? call(nameOf(from)) : `require(${JSON.stringify(from)})`);
  const body = text
    .replace(EXPORT, '')
    .replace(STATIC, (_, imported, from) => {
      const to = imported?.replace(RENAMED, '$1:$2').replace(/^\*\s*as\s+/, '');
      return to === undefined ? `${moduleAt(from)};` : `const ${to}=${moduleAt(from)};`;
    })
    .replace(DYNAMIC, (_, from) => `Promise.resolve().then(()=>${moduleAt(from)})`);
  const left = /\bimport\s*\(.{0,80}/.exec(body);
  if (left !== null) throw new Error(`a script with a code cache cannot ${left[0]}`);
  // A package that is a CommonJS module is imported as Node does it: its properties, and itself by the name of `default`.
  const result =
    value === undefined
      ? `{${names.replace(RENAMED, '$2:$1')}}`
      : `Object.create(${value},{default:{value:${value}}})`;
  return `(chunk,require)=>{${body}\nreturn ${result}}`;
}

/**
 * @param outputs of esbuild's metafile
 * @param texts by output
 * @param head statements at the beginning of each part
 * @returns the text of each part
 */
export function cut(outputs, texts, head) {
  const all = Object.keys(outputs);
  const partOf = new Map();
  const put = (output, part) => {
    if (partOf.has(output) || outputs[output] === undefined) return;
    partOf.set(output, part);
    for (const { path, kind } of outputs[output].imports) if (kind === 'import-statement') put(path, part);
  };
  for (const [part, modules] of Object.entries(PARTS))
    for (const module of modules) {
      const output = all.find((each) => outputs[each].entryPoint?.replace(/^\w+:/, '') === module);
      if (output === undefined) throw new Error(`${module} is imported nowhere dynamically (${part})`);
      put(output, part);
    }
  for (const output of all) put(output, 'spoolroom.rest');
  const called = new Map(
    [...partOf].map(([output, part]) => [nameOf(output), `chunk("${part}","${nameOf(output)}")`]),
  );
  return Object.keys(PARTS).map((part) => {
    const chunks = all.filter((output) => partOf.get(output) === part).sort();
    const functions = chunks.map(
      (output) => `"${nameOf(output)}":${asFunction(texts.get(output), (name) => called.get(name))}`,
    );
    const text = `(__dirname)=>{${head}return{\n${functions.join(',\n')}\n}}\n`;
    new Script(text, { filename: part });
    return [part, text];
  });
}
