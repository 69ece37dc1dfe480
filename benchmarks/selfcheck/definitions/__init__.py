"""Public definitions of models that we have twins of, as models of a user's folder.

Each is what ``keras.applications`` gives without weights, with the size of our task and without the
softmax at its end. ``tests/definitions.py`` says what must be changed in each so that it computes
what our twin does, and ``benchmarks/selfcheck/public.py`` times them beside our twins.
"""
