"""Batch jobs that build the marts of `smartcity.contracts.marts` from the lake's tables."""
