"""Settings of Sphinx, by which `make docs` makes a site of these pages and of the docstrings of `melgan.api`."""

import melgan

project, release, html_title = "melgan", melgan.__version__, "melgan"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
myst_heading_anchors = 3
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
# As the docstrings of this project call it.
napoleon_custom_sections = [("Arguments", "params_style")]
