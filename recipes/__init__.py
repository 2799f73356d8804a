"""How the embedded weights and data were made; run in a checkout, not installed."""
