"""The live city in a browser: what the gateway carries now, and what the bridge counts."""
