#!/bin/sh
# Run by install.ts in a throw-away root without a network: the life of the package on one machine.
set -eu

step() { echo "ok: $*"; }
fail() {
	echo "FAILED: $*" >&2
	exit 1
}
as() {
	user=$1
	shift
	runuser -u "$user" -- "$@"
}
mode() { stat -c '%a %U:%G' "$1"; }
expect() { [ "$1" = "$2" ] || fail "$3: $1 instead of $2"; }

ip link set lo up 2> /dev/null || true
# Another mail program's sendmail is a file, which alternatives leave alone.
rm -f /usr/sbin/sendmail /usr/share/man/man8/sendmail.8.gz
cache=/usr/lib/spoolroom/bin/spoolroom.$(node --version)-$(node -p process.arch).cache

dpkg --install /package.deb > /dev/null
expect "$(mode /var/spool/spoolroom)" '2770 spoolroom:spoolroom' /var/spool/spoolroom
expect "$(mode /var/log/spoolroom)" '2750 spoolroom:adm' /var/log/spoolroom
expect "$(mode /etc/spoolroom)" '750 root:spoolroom' /etc/spoolroom
expect "$(mode /etc/spoolroom/spoolroom.json)" '640 root:spoolroom' /etc/spoolroom/spoolroom.json
expect "$(mode "$cache")" '644 root:root' "$cache"
step 'installed without a network: user, directories, configuration, code cache'

as spoolroom spoolroom demo > /tmp/demo 2>&1 || fail "demo: $(cat /tmp/demo)"
grep -q '^2 delivered, 1 deferred, 3 refused' /tmp/demo || fail 'demo'
step "demo: $(grep -m 1 '^2 delivered' /tmp/demo)"

cron() {
	runuser -u spoolroom -- env -i HOME=/var/spool/spoolroom LOGNAME=spoolroom SHELL=/bin/sh PATH=/usr/bin:/bin /bin/sh -c "$(sed -n 's/^\* \* \* \* \* spoolroom //p' /usr/share/doc/spoolroom/examples/crontab)" 2>&1
}
expect "$(cron)" '' 'a run of cron with nothing to do'
touch -d @1 "$cache"
expect "$(cron)" '' 'another one'
expect "$(stat -c %Y "$cache")" 1 'the code cache was made anew'
step 'a run as cron starts it is silent and uses the code cache'

expect "$(readlink -f /usr/sbin/sendmail)" /usr/lib/spoolroom/bin/sendmail /usr/sbin/sendmail
useradd member --groups spoolroom
useradd stranger
mail() { printf 'Subject: hello\n\nhello\n' | as "$1" /usr/sbin/sendmail -oi bob@example.com; }
mail root
mail member
! mail stranger 2> /dev/null || fail 'a stranger has put mail into the spool'
expect "$(spoolroom queue --json | grep -c '"kind":"job"')" 2 'jobs'
grep -q '^From: .*member@mail.example.org' /var/spool/spoolroom/3 || fail "the member's message: $(cat /var/spool/spoolroom/3)"
expect "$(mode /var/spool/spoolroom/3)" '660 member:spoolroom' 'its file'
step 'sendmail takes mail of root and of members of the group'
cron > /tmp/run 2>&1 || fail "run: $(cat /tmp/run)"
spoolroom explain 2 | grep -q 'The last attempt was at' || fail 'it was not tried'
step 'the run of cron tries what members have queued'

for page in '1 spoolroom' '5 spoolroom.json' '8 spoolroom-sendmail' '8 sendmail'; do
	# shellcheck disable=SC2086
	! command -v man > /dev/null || man -w $page > /dev/null || fail "man $page"
done
step 'manual pages'

if command -v systemd-analyze > /dev/null; then
	systemd-analyze verify --man=no /usr/lib/systemd/system/spoolroom*.service /usr/lib/systemd/system/spoolroom*.timer 2>&1 |
		grep spoolroom && fail 'systemd-analyze verify'
	step 'systemd finds nothing wrong with the units'
	if command -v strace > /dev/null; then
		strace -f -qq -o /tmp/calls runuser -u spoolroom -- spoolroom demo > /dev/null
		strace -f -qq -o /tmp/calls2 runuser -u spoolroom -- spoolroom run
		sed -n 's/^[0-9]*  *\([a-z0-9_]*\)(.*/\1/p' /tmp/calls /tmp/calls2 | sort -u > /tmp/used
		allowed() { systemd-analyze syscall-filter "$1" | sed -n 's/^ *\([@a-z0-9_][a-z0-9_-]*\)$/\1/p' | grep -v "^$1$"; }
		for group in $(sed -n "s|^SystemCallFilter=||p" /usr/lib/systemd/system/spoolroom.service); do allowed "$group"; done > /tmp/allowed
		for group in $(grep '^@' /tmp/allowed); do allowed "$group" >> /tmp/allowed; done
		for group in $(grep '^@' /tmp/allowed | sort -u); do allowed "$group" >> /tmp/allowed; done
		refused=$(sort -u /tmp/allowed | comm -23 /tmp/used - | tr '\n' ' ')
		[ "$(wc -l < /tmp/used)" -gt 40 ] || fail 'strace has seen nothing'
		expect "$refused" '' 'system calls that the units refuse'
		step "the units allow the $(wc -l < /tmp/used) system calls of demo and run"
	fi
fi

if command -v logrotate > /dev/null; then
	as spoolroom sh -c 'umask 027; echo line > /var/log/spoolroom/spoolroom.log'
	logrotate --force --state /tmp/logrotate /etc/logrotate.d/spoolroom
	[ -s /var/log/spoolroom/spoolroom.log.1 ] && [ ! -s /var/log/spoolroom/spoolroom.log ] || fail 'logrotate'
	step 'logrotate'
fi

rm "$cache"
dpkg-trigger --no-await /usr/bin/node
dpkg --configure --pending > /dev/null
[ -e "$cache" ] || fail 'a new version of Node left no code cache'
step 'a new version of Node gets its code cache'

# systemd seems to run here; what it is told is written down.
mkdir -p /run/systemd/system
rm -f /usr/bin/systemctl /usr/sbin/policy-rc.d
printf '#!/bin/sh\necho "$*" >> /tmp/systemctl\n' > /usr/bin/systemctl
chmod 755 /usr/bin/systemctl
told() { grep -qx -e "$1" /tmp/systemctl || fail "systemd was not told to $1: $(cat /tmp/systemctl)"; }

dpkg --install /package.deb > /dev/null
expect "$(mode "$cache")" '644 root:root' "$cache"
told '--system daemon-reload'
told 'try-restart spoolroom.service spoolroom-intake.service spoolroom-web.service'
step 'upgraded; services that run are started again'

rm /tmp/systemctl
dpkg --remove spoolroom > /dev/null
told 'stop spoolroom.service spoolroom-intake.service spoolroom-web.service spoolroom-run.timer'
told '--system daemon-reload'
[ ! -e /usr/lib/spoolroom ] || fail '/usr/lib/spoolroom is left'
[ ! -L /usr/sbin/sendmail ] || fail '/usr/sbin/sendmail is left'
[ -e /etc/spoolroom/spoolroom.json ] || fail 'the configuration is gone'
dpkg --purge spoolroom > /tmp/purge
grep -q '/var/spool/spoolroom is not empty and stays' /tmp/purge || fail "purge: $(cat /tmp/purge)"
[ -e /var/spool/spoolroom/2 ] || fail 'mail is gone'
[ ! -e /etc/spoolroom ] && [ ! -e /var/log/spoolroom ] && [ ! -e /var/cache/spoolroom ] || fail 'purge left something'
step 'removed and purged; queued mail stays'
