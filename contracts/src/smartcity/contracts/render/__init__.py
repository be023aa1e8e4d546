"""The contract in the languages of its readers: schemas, DDL, documents, tables. Pure functions."""
