/** SIGHUP ends no command that stays (src/cli/setup/reload.ts), also not before they are loaded. Imported for this alone. */

const STAYING: readonly string[] = ['watch', 'intake', 'web'];

if (process.argv.some((word) => STAYING.includes(word))) process.on('SIGHUP', () => {});
