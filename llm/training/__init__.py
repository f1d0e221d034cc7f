"""How the shipped writer is made: examples from the grammar, tokenizer, network, GGUF, figures."""
