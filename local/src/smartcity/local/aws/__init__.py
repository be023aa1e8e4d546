"""A local AWS: Glue and Athena that execute, beside an S3 endpoint that keeps what it answered."""
