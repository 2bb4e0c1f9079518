# shellcheck shell=bash
# What the scripts of this tree share (examples/quickstart.sh, tests/run.sh, .ci/run): installing what is missing, and
# running long steps quietly with a sign of life. Sourced by bash, with the tree's root as the working directory.
# Everything here goes to stderr; stdout belongs to the result.

# fail MESSAGE: the one line that says why it cannot go on.
fail() {
  printf 'error: %s\n' "$1" >&2
  exit 1
}

# fail_log MESSAGE LOG: the same for a step, after the end of its log.
fail_log() {
  tail -n 40 "$2" >&2
  fail "$1 (log: $2)"
}

# step TITLE LOG COMMAND...: runs a command with its output in LOG. A terminal sees one line that counts along with Ninja;
# elsewhere there is a line every 20 s. Returns the command's status.
step() {
  local title=$1 log=$2 begin=$SECONDS shown=0 pid line
  shift 2
  mkdir -p "$(dirname "$log")"
  "$@" >"$log" 2>&1 </dev/null &
  pid=$!
  while sleep 0.2 && kill -0 "$pid" 2>/dev/null; do
    if [ -t 2 ]; then
      line=$(tail -n 1 "$log" | grep -oE '^(\[[0-9]+/[0-9]+\]|[ 0-9]+/[0-9]+ Test)')
      printf '\r\033[K%s ... %s %d s' "$title" "$line" $((SECONDS - begin)) >&2
    elif [ $((SECONDS - begin)) -ge $((shown + 20)) ] || { [ $shown = 0 ] && [ $((SECONDS - begin)) -ge 2 ]; }; then
      shown=$((SECONDS - begin))
      line=$(tail -n 1 "$log" | grep -oE '^(\[[0-9]+/[0-9]+\]|[ 0-9]+/[0-9]+ Test)')
      printf '%s ... %s %d s\n' "$title" "$line" $shown >&2
    fi
  done
  [ -t 2 ] && printf '\r\033[K' >&2
  wait "$pid"
}

# present PROBE: whether a command, or a header under the usual include folders, is there.
present() {
  case $1 in
    */*|*.h) [ -e "/usr/include/$1" ] || [ -e "/usr/local/include/$1" ] ;;
    *) command -v "$1" >/dev/null 2>&1 ;;
  esac
}

# need PACKAGE=PROBE...: installs the Debian packages whose probe is absent.
need() {
  local missing="" item log
  for item in "$@"; do
    present "${item#*=}" || missing="$missing ${item%%=*}"
  done
  [ -n "$missing" ] || return 0
  missing=${missing# }
  command -v apt-get >/dev/null 2>&1 || fail "missing: $missing (no apt-get here: install them by hand)"
  local as_root=""
  if [ "$(id -u)" != 0 ]; then
    # A password can be asked for at a terminal only.
    if ! command -v sudo >/dev/null 2>&1 || ! { sudo -n true 2>/dev/null || { [ -t 0 ] && sudo -v; }; }; then
      fail "missing: $missing (as root: apt-get install $missing)"
    fi
    as_root="sudo"
  fi
  log=$(mktemp)
  # Word splitting is wanted: $missing is a list, $as_root may be nothing. A fresh image has no package lists.
  # shellcheck disable=SC2086,SC2016
  step "installing $missing" "$log" $as_root env DEBIAN_FRONTEND=noninteractive sh -c \
    'apt-get -q update; exec apt-get -q -y --no-install-recommends install "$@"' sh $missing ||
    fail "cannot install $missing (no network, or the package lists lack them; log: $log)"
  rm -f "$log"
  hash -r
}

# need_build_tools: what configuring, building and testing need beside CMake's own fallbacks.
need_build_tools() {
  local compiler="g++=c++"
  [ -z "${CXX:-}" ] || compiler="g++=${CXX%% *}"
  need "$compiler" cmake=cmake ninja-build=ninja pkg-config=pkg-config nlohmann-json3-dev=nlohmann/json.hpp \
    libcli11-dev=CLI/CLI.hpp libgtest-dev=gtest/gtest.h libonig-dev=oniguruma.h libeigen3-dev=eigen3/Eigen/Core
}

# configure BUILD_DIR ARGUMENT...: cmake with the arguments, unless what is configured already will do (Ninja runs CMake
# again by itself when a CMake file changed).
configure() {
  local dir=$1 wanted
  shift
  wanted="$(pwd) $*"
  if [ ! -f "$dir/build.ninja" ] || [ "$(cat "$dir/configured" 2>/dev/null)" != "$wanted" ]; then
    step configuring "$dir/configure.log" cmake "$@" || fail_log "configuring failed" "$dir/configure.log"
    printf '%s\n' "$wanted" >"$dir/configured"
  fi
}
