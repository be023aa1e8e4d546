"""The auditor: compares what devices logged with what the lake holds, reading by reading and column by column."""
