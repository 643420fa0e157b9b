"""The experiments behind the recipes' settings, one file each with its results beside it.

A study is a module with ``table()``, which renders its results as Markdown, and ``run(models)``, which
measures them and returns the rows of its JSON file. A study that only reads shipped artifacts or the
committed baseline has no ``run``.

    python -m crnn.optimize.studies run criteria --models FOLDER    # takes minutes to an hour
    python -m crnn.optimize.studies page                            # fills the tables into crnn/optimize/README.md

Settings are chosen on the validation split. The test split is only for measuring.
"""
