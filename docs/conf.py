"""Sphinx configuration."""

import os
import shutil
from pathlib import Path

from sklearn.datasets import get_data_home

import sklearn_usps

HERE = Path(__file__).parent

# torch reads it at its first import: its threads then wait less for each other on a busy machine.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

# The examples read the original files that were given by hand, as the tests do.
if originals := os.environ.get("SKLEARN_USPS_ORIGINALS"):
    usps_folder = Path(get_data_home()) / "usps"
    usps_folder.mkdir(exist_ok=True)
    for original in Path(originals).rglob("zip.train.gz"):
        shutil.copyfile(original, usps_folder / original.name)

project = "sklearn-usps"
author = "The sklearn-usps developers"
copyright = "2026, " + author  # noqa: A001 (Sphinx's name)
version = release = sklearn_usps.__version__

extensions = [
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.extlinks",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = [
    "_build",
    "_templates",
    "generated/alphadigits.rst",
    "generated/usps.rst",
]  # docs/data.rst includes the last two
default_role = "literal"
autosummary_generate = True
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
autodoc_typehints = "none"
extlinks = {
    "arxiv": ("https://arxiv.org/abs/%s", "arXiv:%s"),
    "doi": ("https://doi.org/%s", "doi:%s"),
}
# Docstrings inherited from scikit-learn refer to its glossary and user guide.
suppress_warnings = ["ref.ref", "ref.term"]

# The examples run on the real data, in order of file size; an error stops the build.
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("sklearn_usps",),
    "abort_on_example_error": True,
    "capture_repr": (),
    "show_memory": False,
    "download_all_examples": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "sklearn-usps"
html_static_path = ["_static"]
html_css_files = ["narrow.css"]
html_favicon = "_static/favicon.svg"
html_context = {"default_mode": "auto"}
html_sidebars = {"**": []}
html_theme_options = {"show_prev_next": False, "navigation_with_keys": False}


def copy_draw_page(app, exception):
    """Put the page on which one draws a digit, with its model, beside the others."""
    if exception is None and app.builder.format == "html":
        for folder in (Path(sklearn_usps.__file__).parent / "draw" / "static", HERE / "draw"):
            files = shutil.ignore_patterns("*.py", "__pycache__")
            shutil.copytree(folder, Path(app.outdir) / "draw", dirs_exist_ok=True, ignore=files)


def setup(app):
    app.connect("build-finished", copy_draw_page)


# One description of the data serves as DESCR and as a page.
generated = HERE / "generated"
generated.mkdir(exist_ok=True)
for text in (Path(sklearn_usps.__file__).parent / "datasets" / "descr").glob("*.rst"):
    shutil.copyfile(text, generated / text.name)
