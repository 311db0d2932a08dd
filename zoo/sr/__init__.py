"""Super-resolution: networks, data, protocol and losses. Importing it registers the networks."""

from zoo.sr import lesson as lesson
from zoo.sr import srresnet as srresnet
