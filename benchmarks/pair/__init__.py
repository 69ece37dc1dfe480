"""Two files of anybody's: the command ``pair``, and the folder of a model that it writes."""
