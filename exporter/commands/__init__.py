"""The subcommands of the command line, a module each; loaded only when they run."""
