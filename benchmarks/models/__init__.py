"""One folder per model: its TASK and a twin per dialect; an underscore marks shared parts.

Models that lie here run where none is named. Those in the folder of a family (``images``, …) run
where they, or their family, are named.
"""
