"""Turns `python -m mbexport` into the command line."""

from mbexport.cli import main

if __name__ == "__main__":
    main()
