"""Glue, Athena and S3 with boto3: the same calls against AWS and the local endpoint."""
