"""The audit of models: is what they compute reproducible, on each stack and across frameworks?

``checks`` has a file for each check. One is found by its file, and nothing else is edited to add
one. ``run`` puts the rows of all models and stacks into a journal; ``worker`` is the child.
"""
