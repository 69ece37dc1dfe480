"""Models of images: classifiers, and a network that labels each pixel."""
