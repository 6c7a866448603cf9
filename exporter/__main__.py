"""Run the command line as `python -m mbexport`."""

from mbexport.cli import main

if __name__ == "__main__":
    main()
