/** Bundles the command into one file, bin/spoolroom.cjs. Modules that are imported dynamically stay lazy inside it. */
import { build } from 'esbuild';

await build({
  entryPoints: ['src/cli/start.ts'],
  outfile: 'bin/spoolroom.cjs',
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: 'none',
  logLevel: 'warning',
});
