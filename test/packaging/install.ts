/**
 * `npm run test:deb`: builds the Debian package, has lintian check it, and installs it in a throw-away root: this system under an
 * overlay that is gone afterwards, without a network. There the demo runs, a queue run as cron starts it, sendmail for root, for a
 * member of the group and for a stranger, a trigger as by a new version of Node, an upgrade, the removal and the purge.
 * It needs root, unshare(1) and overlayfs, and says so.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { buildDebianPackage, PROJECT, sourceTime } from '../../src/packaging/debian/build.ts';
import { hasProgram } from '../support/programs.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'spoolroom-install-'));
chmodSync(folder, 0o755);
try {
  process.exitCode = check();
} finally {
  rmSync(folder, { recursive: true });
}

function check(): number {
  const built = buildDebianPackage(folder, sourceTime(process.env));
  console.log(`built ${path.basename(built)}`);
  if (hasProgram('lintian')) {
    const words = ['--allow-root', '--fail-on', 'error,warning', '--info', built];
    if (spawnSync('lintian', words, { stdio: 'inherit' }).status !== 0) return 1;
    console.log('lintian has no errors and no warnings');
  } else console.log('lintian is not installed: the package was not checked by it');
  const missing = ['unshare', 'dpkg', 'runuser', 'systemd-sysusers'].filter((name) => !hasProgram(name));
  if (process.geteuid?.() !== 0 || missing.length > 0) {
    console.log(`The package was not installed anywhere: that needs root ${missing.join(' ')}`);
    return 1;
  }
  cpSync(path.join(PROJECT, 'test/packaging/in-root.sh'), path.join(folder, 'in-root.sh'));
  execFileSync('mkdir', ['-p', `${folder}/overlay`]);
  const outer = `
    set -eu
    mount -t tmpfs tmpfs ${folder}/overlay
    mkdir ${folder}/overlay/upper ${folder}/overlay/scratch ${folder}/overlay/merged
    mount -t overlay overlay -o lowerdir=/,upperdir=${folder}/overlay/upper,workdir=${folder}/overlay/scratch ${folder}/overlay/merged
    mount --rbind /proc ${folder}/overlay/merged/proc
    mount --rbind /dev ${folder}/overlay/merged/dev
    hostname mail.example.org
    cp ${built} ${folder}/overlay/merged/package.deb
    cp ${folder}/in-root.sh ${folder}/overlay/merged/in-root.sh
    exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \\
      chroot ${folder}/overlay/merged sh -eu /in-root.sh`;
  return (
    spawnSync('unshare', ['--mount', '--net', '--uts', 'sh', '-c', outer], { stdio: 'inherit' }).status ?? 1
  );
}
