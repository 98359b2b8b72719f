"""Heads into a bundle's folder and out of it: joined, tried, and only then listed.

The record is written last where a head comes and first where one goes: whoever opens the bundle in between sees it as
it was, or finds a hash that does not match and tries again.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from narrows.contract.bundle import Bundle, Head, Heads
from narrows.contract.bundle.heads import (
    DECODER_HEADS,
    DECODER_HEADS_INT8,
    RECORD,
    check_belongs,
    check_names,
    check_removable,
)
from narrows.contract.errors import HeadAltered, HeadNameTaken
from narrows.models.export.write import file_entry
from narrows.models.heads.join import check_runs, join, reads, tensors_of
from narrows.models.heads.train import HEAD_GRAPH, HEAD_RECORD
from narrows.runtime.surroundings import scratch_folder
from narrows.runtime.writing import write_file


def add_head(bundle: Bundle, source: Path, *, renew: bool = False) -> Bundle:
    """Add the head in ``source`` (``head.onnx``, ``head.json``) to a bundle's folder. The id stays.

    Args:
        bundle: where to.
        source: run folder of ``narrows head train``, or whatever holds the two files.
        renew: take the place of a head of that name.

    Raises:
        HeadAltered: the graph is missing, or is not the one that the record pins.
        HeadNameTaken: also where it should take the place of one that answers in another form: dispatchers that do
            not know it yet would refuse its answers.
        HeadOfAnotherBundle, HeadNameTaken, HeadKindUnknown, HeadGraphRefused: it cannot be added to this bundle.
    """
    head, graph = read_head(source)
    check_belongs(head, bundle.manifest, bundle.decoder_sha256)
    former = bundle.heads.head(head.name)
    if former is not None and not renew:
        raise HeadNameTaken(f"there is a head {head.name} already: with --replace this one takes its place")
    if renew and former is not None and _form(former) != _form(head):
        raise HeadNameTaken(f"the head {head.name} answers in another form than this one: give this one another name")
    others = tuple(each for each in bundle.heads.heads if not (renew and each.name == head.name))
    check_names((*bundle.manifest.outputs, *(each.output for each in (*others, head))))
    return _with(bundle, (*others, head), {head.name: graph})


def remove_head(bundle: Bundle, name: str) -> Bundle:
    """Take a head out of a bundle's folder. The id stays.

    Raises:
        OutputIsTheDecoders: it is the decoder's own output.
        BundleError: there is no such head.
    """
    gone = check_removable(name, bundle.manifest, bundle.heads)
    changed = _with(bundle, tuple(each for each in bundle.heads.heads if each.name != name), {})
    (bundle.folder / gone.file_name).unlink(missing_ok=True)
    return changed


def read_head(source: Path) -> tuple[Head, Path]:
    """A head that is in no bundle yet, and its graph.

    Raises:
        HeadAltered: a file is missing, or the graph is not the one that the record pins.
        BundleError: the record makes no sense.
    """
    record, graph = source / HEAD_RECORD, source / HEAD_GRAPH
    for path in (record, graph):
        if not path.is_file():
            raise HeadAltered(f"{path} is missing: give the run folder of a `narrows head train` that ended")
    head = Head.parse(record.read_bytes(), what=str(record))
    if file_entry(graph) != head.file:
        raise HeadAltered(f"{graph} is not the file that {HEAD_RECORD} pins: copy the head again, whole")
    return head, graph


def _form(head: Head) -> tuple[str, str, tuple[int, ...]]:
    return head.output.kind, head.output.dtype, head.output.shape


def _with(bundle: Bundle, heads: tuple[Head, ...], graphs: dict[str, Path]) -> Bundle:
    """The bundle with exactly these heads; ``graphs`` are those that its folder does not hold yet."""
    folder = bundle.folder
    sources = [(head, graphs.get(head.name, folder / head.file_name)) for head in heads]
    if not heads:
        _list(folder, replace(bundle.heads, heads=(), merged=None, merged_int8=None))
        for name in (DECODER_HEADS, DECODER_HEADS_INT8):
            (folder / name).unlink(missing_ok=True)
        return Bundle.open(folder)
    with scratch_folder() as scratch:
        joined, int8 = scratch / DECODER_HEADS, scratch / DECODER_HEADS_INT8
        join(bundle.decoder_path, sources, joined)
        check_runs(bundle, joined, heads)
        if bundle.int8_decoder is not None and _fits_int8(bundle, [graph for _, graph in sources]):
            join(bundle.int8_decoder_path, sources, int8)
        record = replace(
            bundle.heads,
            heads=heads,
            merged=file_entry(joined),
            merged_int8=file_entry(int8) if int8.is_file() else None,
        )
        record.check(bundle.manifest, bundle.decoder_sha256)
        for head, graph in sources:
            if graph.parent != folder:
                shutil.copyfile(graph, folder / head.file_name)
        for path in (joined, int8):
            if path.is_file():
                shutil.copyfile(path, folder / path.name)
        _list(folder, record)
    return Bundle.open(folder)


def _fits_int8(bundle: Bundle, graphs: list[Path]) -> bool:
    """Whether the quantiser left all that the heads read under its name."""
    there = tensors_of(bundle.int8_decoder_path)
    return all(set(reads(graph)) <= there for graph in graphs)


def _list(folder: Path, heads: Heads) -> None:
    path = folder / RECORD
    if heads == Heads():
        path.unlink(missing_ok=True)
        return
    write_file(path, heads.to_json())
