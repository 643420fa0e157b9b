"""Where artifacts lie, how one is built, checked and found.

Shipped ones lie in ``fixtures/artifacts``; the rest, and all of a user's own
corpus, in ``$CRNN_CACHE`` or the platform's cache folder. Beside each lies a JSON
record of how it was made.
"""

import hashlib
import importlib.metadata
import inspect
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crnn import registry
from crnn.corpus import Corpus
from crnn.optimize.recipe import Build
from crnn.registry.variant import Variant

SHIPPED = Path(__file__).parents[1] / "fixtures" / "artifacts"
# Distributions whose version a record keeps; a conversion made by others is made anew.
_TOOLS = (
    "torch",
    "torchao",
    "tensorflow",
    "tf_keras",
    "tensorflow-model-optimization",
    "ai-edge-litert",
    "onnx",
    "onnxscript",
    "onnxoptimizer",
    "onnxsim",
    "tf2onnx",
    "numpy",
)

# What is checked before an artifact is used.
_RECORDED = {"sha256", "corpus_sha256", "parent_sha256", "recipe_sha256", "versions"}


class ArtifactError(RuntimeError):
    """An artifact that is missing, corrupt or stale; the message names the file and the way out."""


def cache_folder() -> Path:
    """Where what is built on first use is kept."""
    if given := os.environ.get("CRNN_CACHE"):
        return Path(given)
    platforms = Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    return Path(os.environ.get("XDG_CACHE_HOME") or platforms) / "crnn-benchmarks"


def is_shipped(variant: Variant, corpus: Corpus) -> bool:
    """Whether the repository carries the artifact: what took training, for the field corpus."""
    return variant.trained and corpus.name == "field"


def location(variant: Variant, corpus: Corpus) -> Path:
    """Where the variant's artifact for this corpus lies, whether or not it is there."""
    if is_shipped(variant, corpus):
        return SHIPPED / f"{variant.name}{variant.suffix}"
    return cache_folder() / "artifacts" / f"{corpus.name}-{corpus.sha256[:12]}" / f"{variant.name}{variant.suffix}"


def record_path(artifact: Path) -> Path:
    """The JSON beside an artifact."""
    return artifact.with_name(artifact.name + ".json")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def verified_record(artifact: Path) -> dict[str, Any]:
    """The artifact's record, after its hash was checked.

    Raises:
        ArtifactError: a file is missing, or the content is not what was recorded.
    """
    try:
        record = json.loads(record_path(artifact).read_text("utf-8"))
        actual = sha256_of(artifact)
    except FileNotFoundError as error:
        raise ArtifactError(f"{error.filename} is missing") from None
    except json.JSONDecodeError as error:
        raise ArtifactError(f"{record_path(artifact)} is corrupt: {error}") from None
    if not isinstance(record, dict) or not record.keys() >= _RECORDED:
        raise ArtifactError(f"{record_path(artifact)} is corrupt: it lacks what a record holds")
    if actual != record["sha256"]:
        raise ArtifactError(f"{artifact} is corrupt: SHA-256 {actual}, recorded {record['sha256']}")
    return record


def _recipe_sha256(variant: Variant) -> str:
    """Of the source file that holds the recipe: an edited conversion is made anew."""
    return sha256_of(Path(inspect.getfile(variant.load_recipe())))


def _versions() -> dict[str, str]:
    installed = {}
    for name in _TOOLS:
        try:
            installed[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed


def _stale(variant: Variant, corpus: Corpus, artifact: Path) -> str | None:
    """Why a built artifact cannot be used, or None. What took training stays good in other versions."""
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
    if not variant.trained and (record["versions"], record["recipe_sha256"]) != (_versions(), _recipe_sha256(variant)):
        return "its recipe or a tool's version has changed"
    return None


def find(variant: Variant, corpus: Corpus) -> Path:
    """The variant's artifact, verified.

    Raises:
        ArtifactError: it has to be built first, or again.
    """
    artifact = location(variant, corpus)
    if variant.parent is not None:
        find(registry.get(variant.parent), corpus)
    if reason := _stale(variant, corpus, artifact):
        raise ArtifactError(f"{variant.name}: {reason}; {way_out(variant, corpus)}")
    return artifact


def way_out(variant: Variant, corpus: Corpus) -> str:
    """What to type to get the artifact."""
    if is_shipped(variant, corpus):
        return f"`git checkout -- {SHIPPED.parent.name}/{SHIPPED.name}` restores what is shipped"
    suffix = "" if corpus.name == "field" else " --corpus FOLDER"
    return f"`python -m crnn build {variant.name}{suffix}` makes it"


def is_built(variant: Variant, corpus: Corpus) -> bool:
    """Whether the artifact is there and good."""
    try:
        find(variant, corpus)
    except ArtifactError:
        return False
    return True


def build(variant: Variant, corpus: Corpus, options: Mapping[str, Any] | None = None, force: bool = False) -> Path:
    """Build the artifact, parents first, under a lock; what is there and good is kept.

    Args:
        variant: what to build.
        corpus: what to train on or calibrate with.
        options: override the recipe's settings.
        force: build this one (not its parents) even if it is there.

    Returns:
        The artifact. It and its record appear whole or not at all.
    """
    from filelock import FileLock

    parent = build(registry.get(variant.parent), corpus) if variant.parent else None
    artifact = location(variant, corpus)
    artifact.parent.mkdir(parents=True, exist_ok=True)
    workshop = cache_folder() / "building" / f"{corpus.name}-{corpus.sha256[:12]}"
    workshop.mkdir(parents=True, exist_ok=True)
    with FileLock(workshop / f"{variant.name}.lock"):
        if not force and _stale(variant, corpus, artifact) is None:
            return artifact
        # The temporary file keeps the suffix: frameworks choose the format by it.
        temporary = artifact.with_name(f".{variant.name}.{os.getpid()}{variant.suffix}")
        temporary_record = record_path(temporary)
        try:
            work = Build(
                variant.name,
                parent,
                temporary,
                corpus,
                workshop / f"{variant.name}.npz",
                {**variant.recipe_options, **(options or {})},
                verified_record(parent).get("alphabet") if parent else None,
            )
            notes = variant.load_recipe()(work)
            record = {
                "variant": variant.name,
                "recipe": variant.recipe,
                "recipe_sha256": _recipe_sha256(variant),
                "parent": variant.parent,
                "parent_sha256": sha256_of(parent) if parent else None,
                "corpus": corpus.name,
                "corpus_sha256": corpus.sha256,
                "alphabet": corpus.alphabet,
                "versions": _versions(),
                "sha256": sha256_of(temporary),
                **notes,
            }
            temporary_record.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", "utf-8")
            temporary.replace(artifact)
            temporary_record.replace(record_path(artifact))
            # Only now is what was trained safe elsewhere.
            work.checkpoint.unlink(missing_ok=True)
        finally:
            temporary.unlink(missing_ok=True)
            temporary_record.unlink(missing_ok=True)
    return artifact
