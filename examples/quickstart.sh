#!/usr/bin/env bash
# From a fresh clone to the sentiment of a sentence: installs what is missing, builds the tcpp command, runs it.
# Usage: examples/quickstart.sh "I loved every minute of it"
set -u
[ $# -ge 1 ] || { echo 'usage: examples/quickstart.sh "TEXT" ...' >&2; exit 2; }
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd) || exit 1
built=$root/build/quickstart.stamp

# Nothing to do when no source is newer than the last build.
if [ ! -x "$root/build/bin/tcpp" ] || [ ! -f "$built" ] ||
  [ -n "$(find "$root"/src "$root"/include "$root"/cmake "$root"/CMakeLists.txt -newer "$built" -print -quit)" ]; then
  (
    cd "$root" || exit 1
    . cmake/setup.sh
    need_build_tools
    configure build --preset release -DTCPP_BUILD_TESTS=ON
    touch build/quickstart.started
    step building build/build.log cmake --build build --target tcpp --parallel "$(nproc)" || fail_log "the build failed" build/build.log
    mv build/quickstart.started "$built"
  ) || exit 1
fi
exec "$root/build/bin/tcpp" run text-classification -- "$@"
