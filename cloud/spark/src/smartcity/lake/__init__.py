"""Kafka to Iceberg on S3: one Spark Structured Streaming query, each reading exactly once."""
