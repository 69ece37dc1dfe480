"""Tools that people use now, each asked as its own documentation says whether B is as fast as A.

Each module has ``RULE``, the tool's own rule in words, and ``compare(slow, folder)``, which
measures the work and then the work slowed by a share, and says what the tool makes of it.
"""
