#!/usr/bin/env bash
# EXIT_CODE, OUT -> the colour of the job, and an annotation for each gate that failed.
set -euo pipefail
code=${EXIT_CODE:-3}
case $code in
  0) echo "mbexport: passed" ;;
  1) echo "::error title=mbexport::A gate or the check of the files failed; the files and reports are uploaded" ;;
  2) echo "::error title=mbexport::The arguments or the data cannot be used; the build's log says why" ;;
  *) echo "::error title=mbexport::A stage failed (exit code $code); the next run goes on where this one stopped" ;;
esac
if [[ $code == 1 ]]; then # only then is the file this run's
  "${PYTHON:?}" -P "$(dirname "${BASH_SOURCE[0]}")/annotations.py" "${OUT:?}/junit.xml"
fi
exit "$code"
