"""The formats a capture may have: one module each, and in each a reader that yields messages and notes its findings."""
