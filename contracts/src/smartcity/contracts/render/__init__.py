"""The contract in the languages of its readers: Spark, Glue, Redshift, JSON Schema, AsyncAPI, Markdown. Pure functions."""
