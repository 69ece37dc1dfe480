"""Who drives training in Keras, one file each; every engine takes them from here."""
