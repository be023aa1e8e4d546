"""Glue's catalog: databases, tables with versions, partitions."""
