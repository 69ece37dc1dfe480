"""ResNet-50 v1.5 without its head, shared by the models that train it and that freeze it.

He et al.: Deep residual learning for image recognition, 2015, table 1; v1.5 puts the stride of a
stage's first block into the 3x3 convolution instead of the first 1x1.
"""

STAGES = ((3, 1, 1), (4, 2, 2), (6, 4, 2), (3, 8, 2))  # blocks, multiple of the width, stride
EXPANSION = 4
MOMENTUM = 0.9  # of the running statistics, in Keras' sense; PyTorch's is 1 - 0.9
EPSILON = 1e-5
# Where the last normalisation of a block starts. At 1 the activations of a frozen body would double
# in variance with each block; Goyal et al. 2017 start at 0, which would hide every block behind it.
LAST_SCALE = 0.25
