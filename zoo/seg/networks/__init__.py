"""Segmentation networks; importing this package registers them."""

from zoo.seg.networks import fpn as fpn
from zoo.seg.networks import simple_up as simple_up
from zoo.seg.networks import unet as unet
