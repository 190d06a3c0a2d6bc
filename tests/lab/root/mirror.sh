# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# mirror.sh - which Debian mirror to use, found in the host's own apt sources
#
# No registry's name is written in this tree: the host knows one that it can
# reach and trusts. Ubuntu's, disabled and third-party entries are passed
# over; what is left must have trixie's sources, signed by Debian's keyring.
#
# Result: MIRROR, MIRROR_SECURITY (may be empty), and a private apt
# configuration in $CACHE/apt that the host's apt never sees.

MIRROR=
MIRROR_SECURITY=
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# apt_entries - the host's enabled entries as lines "URI SUITE COMPONENT..."
apt_entries() {
	local dir=${SLICE_APT_DIR:-/etc/apt} file
	for file in "$dir/sources.list" "$dir"/sources.list.d/*.list; do
		[[ -f $file ]] || continue
		sed -e 's/#.*//' -e 's/\[[^]]*\]//' "$file" |
			awk '($1 == "deb" || $1 == "deb-src") && NF >= 4 { $1 = ""; print substr($0, 2) }'
	done
	for file in "$dir"/sources.list.d/*.sources; do
		[[ -f $file ]] || continue
		grep -v '^#' "$file" | awk '
			function flush(  i, j, n, m, u, s) {
				if (field["enabled"] !~ /^(no|false|0|off)$/) {
					n = split(field["uris"], u)
					m = split(field["suites"], s)
					for (i = 1; i <= n; i++)
						for (j = 1; j <= m; j++)
							print u[i], s[j], field["components"]
				}
				delete field
			}
			/^[ \t]*$/ { flush(); next }
			/^[ \t]/ { field[name] = field[name] " " $0; next }
			{
				name = tolower($1); sub(/:.*/, "", name)
				sub(/^[^:]*:[ \t]*/, ""); field[name] = $0
			}
			END { flush() }'
	done
}

# resolve_mirror URI - a mirror list ("mirror+file:...") stands for its first line
resolve_mirror() {
	local uri=$1 list
	case $uri in
	mirror+file:* | mirror:/*)
		list=${uri#*:}
		list=/${list##+(/)}
		uri=$(awk '!/^#/ && NF { print $1; exit }' "$list")
		;;
	mirror+*) uri=${uri#mirror+} ;;
	esac
	printf '%s\n' "${uri%/}"
}

# host_mirrors [security] - the host's candidates, best first, one a line
host_mirrors() {
	local uri suite components wanted='^(bullseye|bookworm|trixie|forky|sid|stable|testing|unstable|oldstable)$'
	[[ ${1-} != security ]] || wanted='^[a-z]+-security$'
	while read -r uri suite components; do
		[[ $suite =~ $wanted && " $components " == *" main "* && $uri != cdrom:* ]] || continue
		resolve_mirror "$uri"
	done < <(apt_entries) | awk '!seen[$0]++'
}

# host_acquire - how the host's apt reaches its mirrors (proxies, retries, dates)
host_acquire() {
	apt-config dump 2>/dev/null |
		grep -E '^Acquire::(http|https|ftp|Retries|Check-Valid-Until|Check-Date)\b.*"[^"]+";$' || true
}

# private_apt LIST COMMAND... - run apt-get or apt-cache with a configuration
# of its own: only the sources in LIST, lists and cache below $CACHE/apt, none
# of the host's hooks.
private_apt() {
	local list=$1 conf=$CACHE/apt/apt.conf
	shift
	mkdir -p "$CACHE"/apt/{lists,archives}/partial
	{
		cat <<-END
			Dir::Etc::parts "/dev/null";
			Dir::Etc::main "/dev/null";
			Dir::Etc::sourcelist "$list";
			Dir::Etc::sourceparts "/dev/null";
			Dir::Etc::preferencesparts "/dev/null";
			Dir::State::lists "$CACHE/apt/lists";
			Dir::State::status "/dev/null";
			Dir::Cache "$CACHE/apt";
			APT::Sandbox::User "root";
			Acquire::Languages "none";
		END
		host_acquire
	} >"$conf"
	APT_CONFIG=$conf "$@"
}

# trixie_sources URI LOG - fetch the index of trixie's sources; the reason for
# a failure is in LOG
trixie_sources() {
	mkdir -p "$CACHE/apt"
	echo "deb-src [signed-by=$KEYRING] $1 trixie main" >"$CACHE/apt/trixie.list"
	private_apt "$CACHE/apt/trixie.list" apt-get update -o APT::Update::Error-Mode=any >"$2" 2>&1 || return
	private_apt "$CACHE/apt/trixie.list" apt-cache showsrc --only-source qemu >>"$2" 2>&1
}

# find_mirror - set MIRROR and MIRROR_SECURITY, or refuse with the reasons
find_mirror() {
	local candidates candidate log=$CACHE/log/mirror.log reasons=
	[[ -z $MIRROR ]] || return 0
	[[ -f $KEYRING ]] || die "$KEYRING is not there: install the package debian-archive-keyring"
	if [[ ${SLICE_MIRROR-} ]]; then
		candidates=${SLICE_MIRROR%/}
	else
		candidates=$(host_mirrors)
		[[ $candidates ]] || die "no Debian mirror found in the host's apt sources (/etc/apt); name one with SLICE_MIRROR=URL"
	fi
	mkdir -p "$CACHE/log"
	for candidate in $candidates; do
		say "trying the mirror $candidate"
		if trixie_sources "$candidate" "$log"; then
			MIRROR=$candidate
			break
		fi
		reasons+=$'\n'"  $candidate: $(grep -m 1 '^E:' "$log" || tail -n 1 "$log")"
	done
	[[ $MIRROR ]] || die "QEMU is built from trixie's source package, but no mirror with readable, signed trixie sources was found:$reasons
Name another with SLICE_MIRROR=URL (the directory that holds dists/)."
	find_security
}

# find_security - security updates are wanted, not required
find_security() {
	local candidate candidates
	candidates="${SLICE_MIRROR_SECURITY-} $(host_mirrors security) $MIRROR-security"
	[[ -z ${SLICE_MIRROR-} ]] || candidates="${SLICE_MIRROR_SECURITY-} $MIRROR-security"
	for candidate in $candidates; do
		if /usr/lib/apt/apt-helper download-file "$candidate/dists/bookworm-security/InRelease" \
			"$CACHE/apt/security.InRelease" >/dev/null 2>&1; then
			MIRROR_SECURITY=$candidate
			return
		fi
	done
	say "no mirror of bookworm-security found: going on without security updates"
}

# bookworm_sources - the sources.list of the private root and of guest images
bookworm_sources() {
	local suite
	for suite in bookworm bookworm-updates bookworm-backports; do
		echo "deb [signed-by=$KEYRING] $MIRROR $suite main"
	done
	[[ -z $MIRROR_SECURITY ]] ||
		echo "deb [signed-by=$KEYRING] $MIRROR_SECURITY bookworm-security main"
}
