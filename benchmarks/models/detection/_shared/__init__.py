"""What detectors share: anchors, box coding, matching, sampling, suppression, in both dialects.

Boxes are left, top, right and bottom, as shares of the image or in pixels. Indices are -1 where
there is nothing: an anchor that no object is assigned to, a place of a list that is not filled.
"""

CLOSE = 1e-6
"""Overlaps that are no further apart are equal, in float64 and in float32 alike; the first of them
is the best. A proof's boxes keep further away from every threshold."""
NEITHER = -2
"""An anchor that is neither an object nor background."""
LARGEST = 1000 / 16
"""How many times as wide or high as its anchor a decoded box is at most, as in torchvision."""
LAST = 2**31 - 1
"""Above every key that samples are drawn by."""
POINTS = 14
"""Points along each side of a region that its features are taken at: two for each of 7 bins."""
LEVEL, CANONICAL, FINEST = 4, 224, 2
"""A region as large as a square of 224 pixels belongs to level 4, one of half the side to the next
finer one, and so on down to level 2, the first map."""
FROZEN = 0.25
"""What is left of the start of the scales of frozen normalisation. Nothing normalises the features
then, which would grow until every score is 0 or 1."""
