"""One module per subcommand of `smartcity`: `add_parser(subparsers)` and `run(args)`."""
