"""The commands of `synaug` that are no stage, one module per command, and the arguments that their parsers share."""
