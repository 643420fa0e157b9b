"""``python -m crnn``: train, build, list, report, recommend, compare, baseline.

python -m crnn list
python -m crnn inspect model.onnx --corpus my/lines
python -m crnn train --framework torch --corpus my/lines --width auto
python -m crnn build ort-torch2onnx --corpus my/lines
python -m crnn report results.json --sort ms@1 --format table
python -m crnn recommend results.json --batch 1 --max memory=500MB,cer_loss=0.1pp
python -m crnn compare old.json new.json --gate relative_latency=3%
python -m crnn baseline promote new.json
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from crnn import artifacts, registry
from crnn.artifacts import ArtifactError
from crnn.corpus import Corpus, CorpusError, parsed_height, parsed_width
from crnn.corpus.synthetic import SHIPPED, write_test_split
from crnn.gate import summary
from crnn.gate.baselines import FOLDER, ROLLING, faults, machine_key, promote
from crnn.gate.limits import Limit, LimitError
from crnn.gate.measures import parse
from crnn.gate.renewal import renewed
from crnn.gate.runs import Run, RunError, compare_runs, read, strictness_verdicts
from crnn.gate.strictness import KEY
from crnn.gate.verdicts import INCOMPARABLE_STATUS, status
from crnn.interface import InterfaceError
from crnn.measure import inspect_command
from crnn.measure.requirements import buildable
from crnn.optimize.recipe import RecipeError
from crnn.registry.given import open_corpus_for
from crnn.registry.options import OptionError, known_options
from crnn.registry.variant import Variant
from crnn.report import command, table
from crnn.training.loop import TrainingError

# Training allocates and frees the same large tensors at every step. By default glibc returns them
# to the system each time, and the page faults take a third of a step's time.
_ALLOCATOR = "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=4294967295:glibc.malloc.trim_threshold=8589934591"

_FAULTS = (ArtifactError, CorpusError, InterfaceError, OptionError, RecipeError, TrainingError)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {number}")
    return number


def _with_settings() -> None:
    """Restart this command with environment variables that must be set at the start, unless they already are.

    Converters number elements of sets: only with a fixed hash seed does a conversion give the same file again.
    """
    settings = {"PYTHONHASHSEED": "0"} | ({"GLIBC_TUNABLES": _ALLOCATOR} if sys.platform == "linux" else {})
    if missing := settings.keys() - os.environ.keys():
        os.environ.update({name: settings[name] for name in missing})
        os.execv(sys.executable, [sys.executable, "-m", "crnn", *sys.argv[1:]])


def _recipe_options(arguments: argparse.Namespace) -> dict[str, object]:
    """The recipe options given on the command line; the recipe has defaults for the others."""
    names = ("epochs", "batch_size", "patience", "seed", "batch_sizes")
    given = {name: getattr(arguments, name, None) for name in names}
    return {name: value for name, value in given.items() if value is not None}


def _corpus(arguments: argparse.Namespace, variants: Sequence[Variant]) -> Corpus:
    height = arguments.height and parsed_height(arguments.height)
    width = arguments.width and parsed_width(arguments.width)
    corpus = open_corpus_for(arguments.corpus, variants, height=height, width=width, skip_unfit=arguments.skip_unfit)
    print("".join(f"{note}\n" for note in corpus.notes), file=sys.stderr, end="", flush=True)
    return corpus


def _build(arguments: argparse.Namespace) -> int:
    if bool(arguments.names) == arguments.all:
        raise LookupError("name the variants to build, or --all")
    if arguments.all:
        return _build_all(arguments)
    variants = [registry.get(name) for name in arguments.names]
    corpus = _corpus(arguments, variants)
    for variant in variants:
        _build_one(variant, corpus, _recipe_options(arguments), arguments.force)
    return 0


def _build_one(variant: Variant, corpus: Corpus, options: Mapping[str, object], force: bool) -> None:
    artifact = artifacts.build(variant, corpus, options, force)
    record = artifacts.verified_record(artifact)
    print(artifact, flush=True)
    if epochs := record.get("epochs"):
        best = record["best_epoch"]
        print(f"validation CER {epochs[best - 1]['validation_cer']:.4f} after epoch {best} of {len(epochs)}")


def _build_all(arguments: argparse.Namespace) -> int:
    """Build all rows that are not there; a row that fails does not stop the others, which do not need it."""
    corpus, failed = _corpus(arguments, registry.VARIANTS), 0
    variants, notes = buildable(registry.VARIANTS, corpus, arguments.force)
    print("\n".join(notes), file=sys.stderr, flush=True)
    for number, variant in enumerate(variants, 1):
        print(f"{number} of {len(variants)}: {variant.name}", file=sys.stderr, flush=True)
        known = known_options(variant.load_recipe())
        options = {name: value for name, value in _recipe_options(arguments).items() if name in known}
        try:
            _build_one(variant, corpus, options, arguments.force)
        except (ValueError, RuntimeError) as error:  # corpus, recipe and artifact errors, and those of converters
            print(f"error: {variant.name}: {error}", file=sys.stderr, flush=True)
            failed += 1
    return min(failed, 1)


def _train(arguments: argparse.Namespace) -> None:
    [original] = [row for row in registry.originals() if row.trained and row.framework == arguments.framework]
    arguments.names, arguments.force, arguments.all = [original.name], True, False
    _build(arguments)


def _list(arguments: argparse.Namespace) -> None:
    corpus, rows = _corpus(arguments, ()), [("name", "technique", "runtime", "parent", "made", "artifact")]
    for variant in registry.VARIANTS:
        made = "shipped" if artifacts.is_shipped(variant, corpus) else "trained" if variant.trained else "on first use"
        there = "there" if artifacts.is_built(variant, corpus) else "not there"
        rows.append((variant.name, variant.technique, variant.runtime, variant.parent or "-", made, there))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _limits(text: str) -> dict[str, Limit]:
    try:
        return parse(text)
    except LimitError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _compare(arguments: argparse.Namespace) -> int:
    verdicts = compare_runs(
        read(arguments.old),
        read(arguments.new),
        arguments.gate,
        accept_versions=arguments.accept_versions,
        any_machine=arguments.gate_machine == "any",
    )
    if arguments.gate_report:
        title = f"{arguments.new.name} against {arguments.old.name}"
        arguments.gate_report.write_text(summary.markdown(verdicts, title), "utf-8")
    print("\n".join(summary.plain(verdicts)))
    return status(verdicts)


def _folder(run: Run, arguments: argparse.Namespace) -> Path:
    """The folder of the machine's baselines."""
    if run.fingerprint is None:
        raise RunError(f"{run.path} has no fingerprint of its machine: saved by an older version")
    return arguments.folder or FOLDER / machine_key(run.fingerprint)


def _write_baseline(run: Run, arguments: argparse.Namespace) -> int:
    """Promote a run that has no fault; print what changes."""
    folder, found = _folder(run, arguments), faults(run)
    if (old := folder / ROLLING).exists():
        before = read(old)
        print(f"against {old}:")
        print("\n".join(summary.plain(compare_runs(before, run, {}))))
        loosened = strictness_verdicts(before, run.session.get(KEY))
        found += [str(verdict) for verdict in loosened if verdict.subject not in arguments.loosened]
    if found:
        print("\n".join([f"{run.path} cannot be a baseline:", *found]), file=sys.stderr)
        if not arguments.anyway:
            print("nothing was written; --anyway overrides this", file=sys.stderr)
            return 1
    for path in promote(run, folder, arguments.pin):
        print(f"wrote {path}")
    return 0


def _renew(arguments: argparse.Namespace) -> int:
    runs = [read(path) for path in arguments.runs]
    return _write_baseline(renewed(read(_folder(runs[0], arguments) / ROLLING), runs), arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m crnn", description="Train, build, list and report variants.")
    parser.add_argument("--registry", type=Path, metavar="FILE.py", help="a file with rows of your own")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    corpus = argparse.ArgumentParser(add_help=False)
    corpus.add_argument("--corpus", type=Path, metavar="DIR", help="a corpus of your own; the field corpus by default")
    corpus.add_argument("--height", metavar="N", help="of its line images, in pixels; 32 by default")
    corpus.add_argument("--width", metavar="N|auto", help="of its line images, in pixels; 400 by default")
    corpus.add_argument("--skip-unfit", action="store_true", help="leave out lines that need too many time steps")
    training = argparse.ArgumentParser(add_help=False, parents=[corpus])
    training.add_argument("--epochs", type=_positive, help="maximum number; 12 by default, more for a small corpus")
    training.add_argument("--batch-size", type=_positive, help="lines per update; 64 by default, 16 for a small corpus")
    training.add_argument("--patience", type=_positive, help="epochs without a better validation CER before stopping")
    training.add_argument("--seed", type=_positive, help="of weights and shuffling; 1 by default")

    train = commands.add_parser("train", parents=[training], help="train an original; resumes an interrupted training")
    train.add_argument(
        "--framework", choices=[row.framework for row in registry.originals() if row.trained], required=True
    )
    train.set_defaults(run=_train)
    build = commands.add_parser("build", parents=[training], help="build variants' artifacts, their parents first")
    build.add_argument("names", metavar="NAME", nargs="*")
    build.add_argument("--all", action="store_true", help="build all rows that are not there yet")
    build.add_argument("--force", action="store_true", help="build it again even if a valid one exists")
    build.add_argument(
        "--batch-sizes",
        type=_positive,
        nargs="+",
        metavar="N",
        help="batch sizes of a LiteRT file; 1 2 4 ... 128 by default",
    )
    build.set_defaults(run=_build)
    listing = commands.add_parser("list", parents=[corpus], help="list the variants")
    listing.set_defaults(run=_list)
    inspect_command.add_to(commands)
    command.add_to(commands, _positive, corpus, _corpus)
    comparison = commands.add_parser(
        "compare", help="print the gate's verdicts on two benchmark JSONs; exit status as with pytest"
    )
    comparison.add_argument("old", type=Path, metavar="OLD.json")
    comparison.add_argument("new", type=Path, metavar="NEW.json")
    comparison.add_argument(
        "--gate", type=_limits, default={}, metavar="LIMITS", help="such as relative_latency=5%%,cer=0.1pp"
    )
    comparison.add_argument("--gate-machine", choices=("same", "any"), default="same", help="as with pytest")
    comparison.add_argument("--accept-versions", action="store_true", help="as with pytest")
    comparison.add_argument("--gate-report", type=Path, metavar="FILE", help="write the verdicts as Markdown")
    comparison.set_defaults(run=_compare)
    baseline = commands.add_parser("baseline", help="manage the runs that others are compared with")
    actions = baseline.add_subparsers(required=True, metavar="ACTION")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--pin", metavar="REASON", help="also the pinned baseline, which shows creep; the reason is kept in it"
    )
    common.add_argument(
        "--loosened",
        type=command.keys,
        default=(),
        metavar="NAMES",
        help="accept limits and thresholds that got looser, such as ov-int8.max_bytes",
    )
    common.add_argument("--anyway", action="store_true", help="promote even a run with failures or a --quick run")
    common.add_argument("--folder", type=Path, metavar="DIR", help=f"by default that of the run's machine in {FOLDER}")
    promotion = actions.add_parser(
        "promote", parents=[common], help="make a saved run the baseline, and print what changes"
    )
    promotion.add_argument("results", type=Path, metavar="RUN.json")
    promotion.set_defaults(run=lambda given: _write_baseline(read(given.results), given))
    renewal = actions.add_parser(
        "renew", parents=[common], help="replace the baseline's process pairs with those of later runs, pooled"
    )
    renewal.add_argument("runs", type=Path, nargs="+", metavar="RUN.json", help="of benchmarks/test_gate.py")
    renewal.set_defaults(run=_renew)
    draw = commands.add_parser("draw-corpus", help="draw the shipped test split again")
    draw.set_defaults(run=lambda _: print(f"{SHIPPED}  SHA-256 {write_test_split()}"))
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status. A user's error is one line on standard error and status 1."""
    try:
        # A user's file may be named in the environment: the parser already reads the registry.
        parsed = _parser().parse_args(arguments)
        if parsed.registry:
            registry.use_file(parsed.registry)
        for fault in registry.faults():
            print(f"warning: {fault}", file=sys.stderr)
        code = parsed.run(parsed) or 0
        sys.stdout.flush()
    except RunError as error:
        print(f"cannot compare: {error}", file=sys.stderr)
        return INCOMPARABLE_STATUS
    except (*_FAULTS, table.ReportError, LookupError, OSError) as error:
        if isinstance(error, BrokenPipeError) and command.reader_left():
            return 0
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command resumes after the last finished epoch", file=sys.stderr)
        return 130
    else:
        return code


if __name__ == "__main__":
    if {"train", "build"} & set(sys.argv[1:4]):  # behind --registry FILE
        _with_settings()
    sys.exit(main())
