"""Super-resolution networks; importing this package registers them."""

from zoo.sr.networks import edsr as edsr
from zoo.sr.networks import lesson as lesson
from zoo.sr.networks import msrresnet as msrresnet
from zoo.sr.networks import srresnet as srresnet
from zoo.sr.networks import srresnet_weights as srresnet_weights
