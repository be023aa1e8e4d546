"""Glue's crawlers: what lies in S3, as tables and partitions."""
