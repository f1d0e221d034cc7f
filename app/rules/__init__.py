"""Pure decisions, one module per word: state in, decision out."""
