"""Athena: SQL that is translated and run."""
