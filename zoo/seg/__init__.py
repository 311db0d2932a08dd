"""Segmentation: networks, data and metrics. Importing it registers the networks."""

from zoo.seg import fpn as fpn
from zoo.seg import simple_up as simple_up
from zoo.seg import unet as unet
