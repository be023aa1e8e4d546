"""The subcommands of `smartcity-edge`, a module for each group: `add_parsers` declares them, each with its `run`."""
