"""How the pages become HTML: `make docs`. The source is the root of the repository, so that links between pages lead to
the same places there and in a clone."""

import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

project = "slowmo_pipeline"
release = metadata.version(project)
root_doc = "docs/index"
include_patterns = [
    "docs/*.md",
    "deploy/README.md",
    "deploy/*/README.md",
    "examples/README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
]
exclude_patterns = [".*", "build", "slowmo_pipeline", "slowmo_pipeline_tests", "benchmarks", "slowmo_data"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "from_code"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
nitpicky = True
# Python's own names have their pages on the network, where the build never looks.
nitpick_ignore_regex = [("py:.*", r"(?!slowmo_pipeline).*")]

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
# Docstrings mark code by one backtick.
default_role = "literal"
# Quotes are what people type.
smartquotes = False

html_theme = "furo"
html_title = "slowmo_pipeline"
html_static_path = ["style.css"]
html_css_files = ["style.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_show_copyright = False
# Furo's own underlines imports, as if they were links.
pygments_dark_style = "monokai"
