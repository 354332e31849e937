"""Helpers of a hands-on transfer learning course; heavy libraries load when used.

``__init__.pyi`` lists the public names, for editors as well as for the loader.
"""

import lazy_loader

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
