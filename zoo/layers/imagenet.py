"""Mean and standard deviation of ImageNet's pixels, RGB in [0, 1], as torchvision states them."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
