"""Find the `torch.autograd.Function`s of a package, try them, and write a test file for them.

`source` reads the package's files and imports nothing, `trial` imports and tries in processes of their
own, with samples that `guess` makes of a forward's parameters, and `skeleton` writes the tests.
"""
