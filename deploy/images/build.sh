#!/usr/bin/env bash
# Builds the images heddle/proxyv2 and heddle/heddled, or those named; echo is the application of deploy/samples:
#   deploy/images/build.sh [buildah|docker] [proxyv2] [heddled] [echo]
# HUB and TAG change the name (default heddle, and the version in package.json). With buildah no daemon is needed, and each
# image is left as an OCI archive in .cache/images. Equal inputs give equal digests.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PATH="$PWD/.cache/tools/bin:$PATH"
umask 022
engine=${1:-buildah}
shift || true
[ $# -gt 0 ] || set -- proxyv2 heddled
case "$engine" in
  buildah | docker) ;;
  *) echo "engine $engine is not known: use buildah or docker" >&2; exit 2 ;;
esac
command -v "$engine" >/dev/null || { echo "$engine is not installed: install it, or use the other of buildah and docker" >&2; exit 1; }

hub=${HUB:-heddle}
tag=${TAG:-$(node -p 'require("./package.json").version')}
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1735689600}
images=$PWD/.cache/images
mkdir -p "$images"

# put FILE TARGET [MODE]: a copy, with links resolved.
put() {
  install -D -m "${3:-755}" "$(readlink -f "$1")" "$root$2"
}

# program FILE TARGET: a program and every shared library it loads, each where the loader looks for it.
program() {
  put "$1" "$2"
  local library
  for library in $(ldd "$(readlink -f "$1")" | grep -oE '/[^ ]+' | sort -u); do
    [ -e "$root/usr${library#/usr}" ] || put "$library" "/usr${library#/usr}"
  done
}

# frame USER ID: what every image has: merged /usr, users, name resolution, CA certificates, an empty /tmp.
frame() {
  mkdir -p "$root"/usr/lib "$root"/usr/lib64 "$root"/etc/ssl/certs "$root"/tmp "$root"/var "$root"/run
  ln -s usr/lib "$root/lib"
  ln -s usr/lib64 "$root/lib64"
  ln -s ../run "$root/var/run"
  chmod 1777 "$root/tmp"
  printf 'root:x:0:0:root:/:/nonexistent\n%s:x:%s:%s::/:/nonexistent\n' "$1" "$2" "$2" >"$root/etc/passwd"
  printf 'root:x:0:\n%s:x:%s:\n' "$1" "$2" >"$root/etc/group"
  printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
  put /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt 644
}

stage_proxyv2() {
  frame istio-proxy 1337
  program .cache/tools/bin/envoy /usr/local/bin/envoy
  program "$(PATH=$PATH:/usr/sbin:/sbin command -v nft)" /usr/sbin/nft
  program "$(PATH=$PATH:/usr/sbin:/sbin command -v ip)" /usr/sbin/ip
  if [ -e deploy/images/proxy/tproxy-routes ]; then put deploy/images/proxy/tproxy-routes /etc/heddle/tproxy-routes 644; fi
}

stage_heddled() {
  frame heddle 65532
  program .cache/tools/bin/node /usr/bin/node
  # Debug symbols are a sixth of it.
  if command -v strip >/dev/null; then strip --strip-all "$root/usr/bin/node"; else echo "binutils is not installed: node keeps its symbols" >&2; fi
  node --import tsx deploy/images/bundle.ts heddled --out "$root/app/heddled.mjs"
  chmod 644 "$root/app/heddled.mjs"
  local file
  for file in templates/*.yaml; do [ ! -e "$file" ] || put "$file" "/app/$file" 644; done
}

stage_echo() {
  frame echo 65532
  program .cache/tools/bin/node /usr/bin/node
  node --import tsx deploy/images/bundle.ts echo --out "$root/app/echo.mjs"
  chmod 644 "$root/app/echo.mjs"
}

declare -A folder=([proxyv2]=proxy [heddled]=heddled [echo]=echo)
for image in "$@"; do
  [ -n "${folder[$image]:-}" ] || { echo "image $image is not known: use proxyv2, heddled or echo" >&2; exit 2; }
  root=$images/$image.root
  rm -rf "$root"
  "stage_$image"
  find "$root" -type d -exec chmod u=rwx,go=rx {} +
  chmod 1777 "$root/tmp"
  find "$root" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
  name=$hub/$image:$tag
  file=deploy/images/${folder[$image]}/Containerfile
  if [ "$engine" = docker ]; then
    docker build --quiet --build-arg SOURCE_DATE_EPOCH --tag "$name" --file "$file" "$root" >/dev/null
    echo "$name"
  else
    archive=$images/$image.tar
    reference=$name
    case "${hub%%/*}" in *.* | *:* | localhost) ;; *) reference=docker.io/$name ;; esac
    export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs
    store=(buildah --root "$images/storage" --runroot "$images/storage-run")
    "${store[@]}" build --quiet --layers=false --timestamp "$SOURCE_DATE_EPOCH" --identity-label=false \
      --tag "$reference" --file "$file" "$root" >/dev/null
    rm -f "$archive.new"
    "${store[@]}" push --quiet "$reference" "oci-archive:$archive.new:$reference"
    "${store[@]}" rmi --all --force >/dev/null
    mv "$archive.new" "$archive"
    digest=$(tar -xOf "$archive" index.json | node -p 'JSON.parse(require("node:fs").readFileSync(0,"utf8")).manifests[0].digest')
    echo "$name $digest $(du -m "$archive" | cut -f1) MB compressed, $(du -sm "$root" | cut -f1) MB unpacked"
  fi
done
