#!/usr/bin/env bash
# Installs the Debian packages that the component and end-to-end tests use, where they are missing.
set -euo pipefail
# Debian's own are too old for the Kubernetes that is tested on, so these two are not installed here.
for tool in go kubectl; do
  command -v "$tool" >/dev/null || { echo "$tool is needed and not installed: install it, see test/cluster/README.md" >&2; exit 1; }
done
top=$(cd "$(dirname "$0")/../.." && pwd)
missing=()
while read -r name; do
  [ -z "$name" ] && continue
  dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q '^install ok installed' || missing+=("$name")
done < <(sed 's/#.*//' "$top/deploy/tools/packages.txt" "$top/test/cluster/packages.txt" 2>/dev/null | tr -d ' ' | sort -u)
[ ${#missing[@]} -eq 0 ] && exit 0
if [ "$(id -u)" -ne 0 ]; then
  echo "these Debian packages are needed: ${missing[*]}; install them with: sudo apt-get install ${missing[*]}" >&2
  exit 1
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
