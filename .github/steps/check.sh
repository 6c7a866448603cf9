#!/usr/bin/env bash
# OUT, PUBLIC_KEY and the build's EXIT_CODE -> outputs `exit-code`, 1 too where a file is not what the manifest says, and
# `passed`.
set -euo pipefail
code=${EXIT_CODE:-3} # a build that wrote nothing down did not end
if ((code <= 1)); then
  checked=0
  "${PYTHON:?}" -P -m mbexport bundle --check ${PUBLIC_KEY:+"--key=$PUBLIC_KEY"} -- "${OUT:?}" || checked=$?
  ((checked <= code)) || code=$checked
fi
passed=false
((code != 0)) || passed=true
printf '%s\n' "exit-code=$code" "passed=$passed" >> "${GITHUB_OUTPUT:?}"
