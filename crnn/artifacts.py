"""Artifacts: where they are stored, how they are built, checked and found.

Shipped artifacts are in ``fixtures/artifacts``. All others, and all artifacts for a user's own
corpus, are in ``$CRNN_CACHE`` or the platform's cache folder. The path of a conversion holds a
digest of its parent, its recipe and the versions of packages, and of the processor's instruction
sets if it is machine code. So environments and machines that share a cache do not replace each
other's files. A JSON record beside each artifact says how it was made.
"""

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from crnn import registry
from crnn.corpus import Corpus
from crnn.interface import BUILT_IN
from crnn.optimize.recipe import Build
from crnn.optimize.tuning import lines_read
from crnn.processor import machine_code
from crnn.registry import provenance
from crnn.registry.options import check_options
from crnn.registry.variant import Variant

SHIPPED = Path(__file__).parents[1] / "fixtures" / "artifacts"
# Keys that are checked before an artifact is used.
_RECORDED = {"sha256", "corpus_sha256", "parent_sha256", "recipe_sha256", "versions"}


class ArtifactError(RuntimeError):
    """Raised for an artifact that is missing, corrupt or stale; the message names the file and the remedy."""


def cache_folder() -> Path:
    """The folder for artifacts that are built on first use."""
    if given := os.environ.get("CRNN_CACHE"):
        return Path(given)
    platforms = Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    return Path(os.environ.get("XDG_CACHE_HOME") or platforms) / "crnn-benchmarks"


def is_shipped(variant: Variant, corpus: Corpus) -> bool:
    """Whether the artifact is in the repository: trained variants, for the field corpus."""
    return variant.trained and corpus.name == "field"


def shipped_path(variant: Variant) -> Path:
    """The path of a trained variant's artifact for the field corpus; other packages ship none."""
    return SHIPPED / f"{variant.name}{variant.suffix}"


def location(variant: Variant, corpus: Corpus) -> Path:
    """The path of the variant's artifact for this corpus, whether or not it exists."""
    if is_shipped(variant, corpus):
        return shipped_path(variant)
    folder = cache_folder() / "artifacts" / f"{corpus.name}-{corpus.sha256[:12]}"
    if not variant.trained:
        # Trained artifacts stay valid with other package versions; conversions are made again.
        folder /= _digest(variant, corpus)[:12]
    return folder / f"{variant.name}{variant.suffix}"


def _digest(variant: Variant, corpus: Corpus) -> str:
    """SHA-256 of everything that determines the content of a conversion."""
    parent = registry.get(variant.parent) if variant.parent else None
    if parent is None:
        made_from = None
    elif parent.trained:
        made_from = _recorded_sha256(location(parent, corpus))
    else:
        made_from = _digest(parent, corpus)
    made_by: list[Any] = [_recipe_sha256(variant), provenance.versions(_module(variant)), made_from]
    if variant.compiled:
        made_by.append(machine_code())
    return hashlib.sha256(json.dumps(made_by, sort_keys=True).encode()).hexdigest()


def _recorded_sha256(artifact: Path) -> str | None:
    """The recorded hash, unchecked; None if there is no readable record, because then the artifact is unusable."""
    try:
        return json.loads(record_path(artifact).read_text("utf-8"))["sha256"]
    except (FileNotFoundError, json.JSONDecodeError, KeyError, TypeError):
        return None


def record_path(artifact: Path) -> Path:
    """The path of the JSON record beside an artifact."""
    return artifact.with_name(artifact.name + ".json")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def verified_record(artifact: Path) -> dict[str, Any]:
    """The artifact's record, after its hash has been checked.

    Raises:
        ArtifactError: a file is missing, or its content differs from the record.
    """
    try:
        record = json.loads(record_path(artifact).read_text("utf-8"))
        actual = sha256_of(artifact)
    except FileNotFoundError as error:
        raise ArtifactError(f"{error.filename} is missing") from None
    except json.JSONDecodeError as error:
        raise ArtifactError(f"{record_path(artifact)} is corrupt: {error}") from None
    if not isinstance(record, dict) or not record.keys() >= _RECORDED:
        raise ArtifactError(f"{record_path(artifact)} is corrupt: required keys are missing")
    if actual != record["sha256"]:
        raise ArtifactError(f"{artifact} is corrupt: SHA-256 {actual}, recorded {record['sha256']}")
    return record


def _module(variant: Variant) -> str:
    """The module of the variant's recipe."""
    return variant.recipe.partition(":")[0]


def _recipe_sha256(variant: Variant) -> str:
    """SHA-256 of the recipe's name, its options in the registry, and the project's modules that it imports."""
    made_by = [variant.recipe, variant.recipe_options, provenance.sources_sha256(_module(variant))]
    return hashlib.sha256(json.dumps(made_by, sort_keys=True).encode()).hexdigest()


def _stale(variant: Variant, corpus: Corpus, artifact: Path) -> str | None:
    """Why a built artifact cannot be used; None if it can."""
    try:
        record = verified_record(artifact)
    except ArtifactError as error:
        return str(error)
    if record["corpus_sha256"] != corpus.sha256:
        return "it was made for another corpus"
    if variant.parent is None:
        return None
    parent = verified_record(location(registry.get(variant.parent), corpus))
    if record["parent_sha256"] != parent["sha256"]:
        return "its parent has changed"
    return None


def find(variant: Variant, corpus: Corpus) -> Path:
    """The variant's artifact, verified.

    Raises:
        ArtifactError: it has to be built or restored first.
    """
    artifact = location(variant, corpus)
    if variant.parent is not None:
        find(registry.get(variant.parent), corpus)
    if reason := _stale(variant, corpus, artifact):
        raise ArtifactError(f"{variant.name}: {reason}; {remedy(variant, corpus)}")
    return artifact


def remedy(variant: Variant, corpus: Corpus) -> str:
    """The command that builds or restores the artifact."""
    if is_shipped(variant, corpus):
        return f"`git checkout -- {SHIPPED.parent.name}/{SHIPPED.name}` restores the shipped file"
    return f"`{' '.join(['python -m crnn build', variant.name, *corpus_words(corpus)])}` builds it"


def corpus_words(corpus: Corpus, folder: Path | None = None) -> list[str]:
    """The options that open a corpus as this one was opened.

    Args:
        corpus: of the user, or the field corpus.
        folder: of the user's corpus, if it is known.
    """
    if corpus.name == "field":
        return []
    words = ["--corpus", str(folder or "FOLDER")]
    for option, given, usual in zip(("--height", "--width"), corpus.size, BUILT_IN.size, strict=True):
        words += [option, str(given)] if given != usual else []
    return words + (["--skip-unfit"] if corpus.left_out else [])


def training_seconds(variant: Variant, corpus: Corpus) -> float:
    """About how long its training takes: that of the shipped one, by the lines it reads and their pixels.

    0 for a conversion, and for another package's row, of which nothing is shipped.
    """
    shipped = record_path(shipped_path(variant))
    if not variant.trained or not shipped.exists():
        return 0.0
    from crnn.corpus.synthetic import SIZES

    epochs = json.loads(shipped.read_text("utf-8"))["epochs"]
    lines = lines_read(len(corpus.train), len(epochs)) / (len(epochs) * SIZES["train"])
    pixels = prod(corpus.size) / prod(BUILT_IN.size)
    return sum(epoch["seconds"] for epoch in epochs) * lines * pixels


def is_built(variant: Variant, corpus: Corpus) -> bool:
    """Whether the artifact exists and is valid."""
    try:
        find(variant, corpus)
    except ArtifactError:
        return False
    return True


def build(variant: Variant, corpus: Corpus, options: Mapping[str, Any] | None = None, force: bool = False) -> Path:
    """Build the artifact, its parents first, under a lock; a valid one is kept.

    Args:
        variant: the variant to build.
        corpus: the corpus to train on or calibrate with.
        options: override the recipe's options in the registry.
        force: whether to build this one (not its parents) even if a valid one exists.

    Returns:
        The artifact's path. File and record are complete or not there at all.

    Raises:
        OptionError: the recipe has no such option; nothing is built.
    """
    from filelock import FileLock

    recipe, given = variant.load_recipe(), {**variant.recipe_options, **(options or {})}
    check_options(recipe, given, f"recipe {variant.recipe} of {variant.name}")
    parent = build(registry.get(variant.parent), corpus) if variant.parent else None
    artifact = location(variant, corpus)
    artifact.parent.mkdir(parents=True, exist_ok=True)
    workshop = cache_folder() / "building" / f"{corpus.name}-{corpus.sha256[:12]}"
    workshop.mkdir(parents=True, exist_ok=True)
    with FileLock(workshop / f"{variant.name}.lock"):
        if not force and _stale(variant, corpus, artifact) is None:
            return artifact
        # The temporary file keeps the suffix, because frameworks choose the format by it.
        temporary = artifact.with_name(f".{variant.name}.{os.getpid()}{variant.suffix}")
        temporary_record = record_path(temporary)
        try:
            work = Build(
                variant.name,
                parent,
                temporary,
                corpus,
                workshop / f"{variant.name}.npz",
                verified_record(parent).get("alphabet") if parent else None,
            )
            notes = recipe(work, **given)
            record = {
                "variant": variant.name,
                "recipe": variant.recipe,
                "options": given,
                "recipe_sha256": _recipe_sha256(variant),
                "parent": variant.parent,
                "parent_sha256": sha256_of(parent) if parent else None,
                "corpus": corpus.name,
                "corpus_sha256": corpus.sha256,
                "alphabet": corpus.alphabet,
                "versions": provenance.versions(_module(variant)),
                "sha256": sha256_of(temporary),
                **notes,
            }
            temporary_record.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", "utf-8")
            temporary.replace(artifact)
            temporary_record.replace(record_path(artifact))
            # Only now is the trained model safely stored.
            work.checkpoint.unlink(missing_ok=True)
        finally:
            temporary.unlink(missing_ok=True)
            temporary_record.unlink(missing_ok=True)
    return artifact
