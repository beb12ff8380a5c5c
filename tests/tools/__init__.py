"""The tools that people use with PyTorch, asked the same about our network and about its twin.

The rule: whatever a tool does with the network of `torch.nn` layers it does with ours, or
``docs/tools.md`` says why not, and the way round.

    pytest tests/tools                    # those that the test extra brings
    pytest tests/tools -m ''              # all that are installed: pip install -e '.[test,tools]'
    python -m tests.tools                 # ask them all, write the CSV of answers and docs/tools.md
    python -m tests.tools captum thop     # these packages only; other rows of the CSV stay
    python -m tests.tools --page          # ask nobody, write docs/tools.md from the CSV

A probe is a function from a network to an answer, declared as a `Tool` in the file of its kind.
Tools that cannot be installed side by side are asked from environments of their own, one after the
other: each run replaces its own rows.
"""
