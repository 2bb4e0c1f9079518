#!/usr/bin/env bash
# Installs what is missing, builds, and runs the tests.
# Usage: tests/run.sh [--preset NAME] [CTEST OPTION ...]
#   --preset NAME   a preset of CMakePresets.json (default: release, in build/)
#   the rest goes to ctest, for example -R tokenizers, or -L slow for what is left out otherwise
set -u -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
. cmake/setup.sh

preset=release
if [ "${1:-}" = --help ] || [ "${1:-}" = -h ]; then
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
  exit 0
fi
if [ "${1:-}" = --preset ]; then
  [ $# -ge 2 ] || { echo "error: --preset needs a name" >&2; exit 2; }
  preset=$2
  shift 2
fi
dir=build
[ "$preset" = release ] || dir=build-$preset

need_build_tools
configure "$dir" --preset "$preset" -DTCPP_BUILD_TESTS=ON
step building "$dir/build.log" cmake --build "$dir" --parallel "$(nproc)" || fail_log "the build failed" "$dir/build.log"

select=(-LE '^(slow|network)$')
for argument in "$@"; do
  case $argument in -L*|--label-regex) select=() ;; esac
done
if ! step testing "$dir/test.log" ctest --test-dir "$dir" --parallel "$(nproc)" --output-on-failure --no-tests=error \
    ${select[@]+"${select[@]}"} "$@"; then
  grep -vE '^Internal ctest|^Test project|^ *Start +[0-9]+: | Passed +[0-9.]+ sec$' "$dir/test.log"
  fail "tests failed (log: $dir/test.log)"
fi
sed -n '/tests passed/,$p' "$dir/test.log"
