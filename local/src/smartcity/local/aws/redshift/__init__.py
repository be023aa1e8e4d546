"""Redshift Serverless and its Data API: a DuckDB file for each namespace."""
