#!/bin/sh
# Installs the npm packages (Node 24 is one of them) when package-lock.json is another than the installed one.
# Needs sh, any Node and any npm: an npm too old to read the lock file is used once, to fetch a newer one.
set -eu
cd "$(dirname "$0")/.."

# Up to version 10, npm drops the link of one platform's Node when it skips another platform's.
link_node() {
  [ -e node_modules/.bin/node ] && return
  for node in node_modules/node-linux-*/bin/node; do
    "$node" --version >/dev/null 2>&1 && ln -sf "../${node#node_modules/}" node_modules/.bin/node && return
  done
  # No Node of npm for this system (macOS): the machine's own must do.
  node -e 'var v = process.versions.node.split("."); process.exit(+v[0] > 24 || (+v[0] === 24 && +v[1] >= 7) ? 0 : 1)' || {
    echo "install: npm has no Node 24 for this system; install Node 24.7 or newer yourself, found $(node --version)" >&2
    exit 1
  }
}

stamp=node_modules/.installed-lock
if cmp -s package-lock.json "$stamp"; then
  link_node
  exit 0
fi

command -v npm >/dev/null || {
  echo "install: npm is needed (any version), for example from your system's package 'npm'" >&2
  exit 1
}

tools=
trap '[ -z "$tools" ] || rm -rf "$tools"' EXIT
case $(npm --version) in
  [1-6].*)
    case $(uname -m) in
      x86_64 | amd64) cpu=x64 ;;
      *) cpu=arm64 ;;
    esac
    tools=$(mktemp -d)
    echo '{"private":true}' >"$tools/package.json"
    (cd "$tools" && npm install --no-save --no-audit --no-fund --loglevel=error npm@11 "node-linux-$cpu@24" >/dev/null)
    PATH=$tools/node_modules/.bin:$PATH
    export PATH
    ;;
esac

npm ci --no-audit --no-fund --loglevel=error
cp package-lock.json "$stamp"
link_node
