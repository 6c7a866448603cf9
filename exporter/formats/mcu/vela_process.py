"""Run Vela, Arm's compiler, in a process that may crash or hang in the place of the user's.

`python -m mbexport.formats.mcu.vela_process WORD...` is `vela WORD...`, with limits of memory and processor time.
"""

import sys
from typing import Final

from mbexport.formats.trial_process import limit_cpu, limit_memory

_MAX_CPU_S: Final = 300  # two seconds are usual

if __name__ == "__main__":
    limit_memory()
    limit_cpu(_MAX_CPU_S)
    from ethosu.vela.vela import main

    sys.exit(main(sys.argv[1:]))
