"""How Sphinx writes the site; ``pages.py`` prepares what it reads."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from pages import current_repository

project = author = "Transfer learning, hands on"
copyright = "the authors of the course: text CC BY 4.0, code Apache-2.0"
language = "en"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
extensions += ["sphinx.ext.githubpages", "pages"]

nb_execution_mode = "off"  # the kept outputs are those of one clean, measured run
nb_merge_streams = True
smartquotes = False  # quotation marks as the lessons have them
myst_heading_anchors = 3

autodoc_typehints = "none"  # the docstrings say type, shape and range
autodoc_default_options = {
    "members": True,
    # scikit-learn makes these for every estimator; their text links to its own pages
    "exclude-members": "set_fit_request, set_score_request, set_predict_request, "
    "set_transform_request, set_inverse_transform_request",
}
add_module_names = False
napoleon_google_docstring = False
napoleon_custom_sections = ["Source"]

html_theme = "sphinx_book_theme"
html_title = project
html_static_path = ["static"]
html_css_files = ["course.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "repository_url": f"https://github.com/{current_repository()}",
    "repository_branch": "main",
    "use_repository_button": True,
    "use_download_button": False,  # it would offer the copy that Sphinx reads
    "launch_buttons": {
        "binderhub_url": "https://mybinder.org",
        "colab_url": "https://colab.research.google.com",
        "notebook_interface": "jupyterlab",
    },
    "home_page_in_toc": True,
    # A second header, empty but for the search, would take the button of the menu.
    "navbar_persistent": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
