"""What several packages' entries share: judgements, and references in plain PyTorch."""
