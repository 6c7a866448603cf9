#!/usr/bin/env bash
# PACKAGE (this checkout if empty), CONSTRAINTS (its constraints.txt if empty) -> an environment; the output `python` is
# its interpreter.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
environment=${RUNNER_TEMP:?}/mbexport

python -P -m venv "$environment"
"$environment/bin/python" -P -m pip install --quiet --disable-pip-version-check \
  --constraint="${CONSTRAINTS:-$here/constraints.txt}" -- "${PACKAGE:-$here}"
echo "python=$environment/bin/python" >> "${GITHUB_OUTPUT:?}"
"$environment/bin/python" -P -m mbexport --version
