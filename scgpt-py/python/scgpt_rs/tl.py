"""Tools: a function a command of the program, each option an argument of the same name.

Made by ``generate.py`` from the command line itself. Cells are an AnnData (or a MuData, where several modalities make
sense) or the path of a file; matrices in memory are read where they are. What is written into an AnnData is named in
the description of each function; given a path, functions return the cells in memory.
"""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Literal

from . import _call
from ._arguments import Option
from ._arguments import default as _default
from ._arguments import options as _options
from ._arguments import record as _record
from ._cells import Cells
from ._result import Result

_Path = str | PathLike[str]

__all__ = [
    "annotate_explain",
    "annotate_predict",
    "annotate_train",
    "cells",
    "convert",
    "embed",
    "evaluate_grn",
    "evaluate_integration",
    "evaluate_labels",
    "evaluate_perturb",
    "generate",
    "grn_attention",
    "grn_embedding",
    "integrate",
    "map_index",
    "map_query",
    "perturb_predict",
    "perturb_prepare",
    "perturb_reverse",
    "perturb_train",
    "pretrain",
    "simulate",
]


def embed(
    adata: Cells,
    *,
    model: _Path,
    tie_mode: Literal["upper", "random", "midpoint"] = _default("upper"),
    sampling: Literal["keyed", "head"] = _default("keyed"),
    max_length: int | None = None,
    seed: int = _default(0),
    batch_size: int = _default(8),
    precision: Literal["exact", "bf16x3", "bf16"] = _default("exact"),
    threads: int | None = None,
    device: str = _default("auto"),
    gene_column: str | None = None,
    all_features: bool = False,
    genes_as_they_are: bool = False,
    min_genes: float | None = None,
    layer: str | None = None,
    where: str | None = None,
    obs_from: _Path | None = None,
    umap: bool = False,
    leiden: float | bool | None = None,
    hvg: int | None = None,
    hvg_flavor: Literal["seurat_v3", "cell_ranger", "seurat", "accessibility", "tfidf"] | None = None,
    batch_key: str | None = None,
    key_added: str = _default("X_scGPT"),
    color: str | Sequence[str] | Mapping[str, Any] | None = None,
    partial: bool = False,
    config: _Path | None = None,
    report: bool = False,
    copy: bool = False,
) -> Any:
    """Embed cells: obsm/X_scGPT.

    Reads h5ad, AnnData-zarr (folder or zip, or a folder at https:// or s3://) and 10x (h5, or a matrix.mtx
    folder); the format is found by content. The page has gene coverage and a map. Results do not depend on
    batch size or threads.

    Parameters
    ----------
    adata : AnnData or path
        Cells in memory, or a file or folder of them.
    model : path
        Model directory.
    tie_mode : {'upper', 'random', 'midpoint'}
        What happens to values on a bin edge.
    sampling : {'keyed', 'head'}
        Which genes are kept when a cell has more than fit.
    max_length : int, optional
        Most tokens per cell [default: the model's].
    seed : int
        Seed of every random choice.
    batch_size : int
        Cells computed at once; affects speed and memory only.
    precision : {'exact', 'bf16x3', 'bf16'}
        Numbers that cells are computed in; bf16 is faster where the processor has tiles of it.
    threads : int, optional
        CPU threads [default: all].
    device : str
        Where to compute: cpu, cuda, cuda:N, wgpu or auto.
    gene_column : str, optional
        Column of var with gene names, or index [default: the one with most known genes].
    all_features : bool
        Take features that var/feature_types calls antibodies, peaks or guides for genes, too.
    genes_as_they_are : bool
        Know genes by the names of the model alone, not by ids of Ensembl, previous symbols, aliases,
        orthologs in the mouse or in other case.
    min_genes : float, optional
        Least share of genes that have to be known, 0 for none [default: a tenth of the file's or of the
        vocabulary's, and a twentieth of what the model sees of a cell; half of those of the artefact of an
        integration].
    layer : str
        Matrix to read: X, raw, or the name of a layer.
    where : str, optional
        Read the cells for which this is true of their columns of obs and no others, in SQL, such as "tissue
        = 'blood' AND n_genes > 500".
    obs_from : path, optional
        Table (csv, tsv or parquet) whose columns join obs, by the column that has the names of cells.
    umap : bool
        Write a UMAP of the embedding, too, and the neighbours of each cell: obsm/X_umap, obsp,
        uns/neighbors.
    leiden : float or bool, optional
        Write Leiden clusters of the embedding, too: obs/leiden; the higher the resolution, the more, 1 if
        none is given.
    hvg : int, optional
        Use only the N most variable genes.
    hvg_flavor : {'seurat_v3', 'cell_ranger', 'seurat', 'accessibility', 'tfidf'}, optional
        Measure of variability [default: seurat_v3 for counts, else cell_ranger].
    batch_key : str, optional
        Column of obs: genes variable within most of its batches.
    key_added : str
        Name of the embedding in obsm.
    color : str or Sequence[str] or Mapping[str, Any], optional
        Column of obs, or gene, that colours the map; given again, another one is in its menu [default: what
        the command found, or a column that looks like cell types].
    partial : bool
        Accept a checkpoint that does not fit its configuration.
    config : path, optional
        TOML file with options of the command, by their long names, and with the settings of a training.
    report : bool
        Make the page, too, and return it with the result.
    copy : bool
        Return a copy of the cells, and leave these as they are.

    Returns
    -------
    None, AnnData or Result
        The cells if ``copy`` is set or they are read from a file, the result if ``report`` is, else nothing.

    Examples
    --------
    >>> tl.embed(adata, model="scGPT_human")  # doctest: +SKIP
    """
    given = dict(locals())
    words = _options(
        {
            "model": Option("--model"),
            "tie_mode": Option("--tie-mode"),
            "sampling": Option("--sampling"),
            "max_length": Option("--max-length"),
            "seed": Option("--seed"),
            "batch_size": Option("--batch-size"),
            "precision": Option("--precision"),
            "threads": Option("--threads"),
            "device": Option("--device"),
            "gene_column": Option("--gene-column"),
            "all_features": Option("--all-features", is_bare=True),
            "genes_as_they_are": Option("--genes-as-they-are", is_bare=True),
            "min_genes": Option("--min-genes"),
            "layer": Option("--layer"),
            "where": Option("--where"),
            "obs_from": Option("--obs-from"),
            "umap": Option("--umap", is_bare=True),
            "leiden": Option("--leiden", is_bare=True),
            "hvg": Option("--hvg"),
            "hvg_flavor": Option("--hvg-flavor"),
            "batch_key": Option("--batch-key"),
            "key_added": Option("--key"),
            "color": Option("--color"),
            "partial": Option("--partial", is_bare=True),
            "config": Option("--config"),
        },
        given,
    )
    return _call.on_cells(
        ["embed"],
        adata,
        words,
        record=_record("embed", given),
        layer=layer,
        renamed={"key": "key_added"},
        report=report,
        copy=copy,
        can_report=True,
    )


def cells(
    adata: Cells,
    *,
    embedding: str | None = None,
    neighbours: int = _default(15),
    resolution: float = _default(1),
    no_umap: bool = False,
    seed: int = _default(0),
    layer: str | None = None,
    where: str | None = None,
    obs_from: _Path | None = None,
    color: str | Sequence[str] | Mapping[str, Any] | None = None,
    config: _Path | None = None,
    report: bool = False,
    copy: bool = False,
) -> Any:
    """Find neighbours, a UMAP and clusters of cells.

    Compares cells by an embedding in obsm, by default that of `tl.embed`, and by principal components of
    variable genes where there is none. Writes what scanpy looks for: obsp/distances and obsp/connectivities,
    uns/neighbors, obsm/X_umap, and Leiden clusters in obs/leiden. All cells are compared with all: a hundred
    thousand take minutes.

    Parameters
    ----------
    adata : AnnData or path
        Cells in memory, or a file or folder of them.
    embedding : str, optional
        Name of the embedding in obsm [default: X_scGPT, else X_scgpt_pca, X_harmony, X_pca or another usual
        one, else the only one, else principal components are computed].
    neighbours : int
        Cells of a neighbourhood, the cell itself included.
    resolution : float
        Resolution of clusters: the higher, the more and the smaller.
    no_umap : bool
        Make no UMAP.
    seed : int
        Seed of every random choice.
    layer : str
        Matrix that components are computed of: X, raw, or the name of a layer.
    where : str, optional
        Read the cells for which this is true of their columns of obs and no others, in SQL, such as "tissue
        = 'blood' AND n_genes > 500".
    obs_from : path, optional
        Table (csv, tsv or parquet) whose columns join obs, by the column that has the names of cells.
    color : str or Sequence[str] or Mapping[str, Any], optional
        Column of obs, or gene, that colours the map; given again, another one is in its menu [default: what
        the command found, or a column that looks like cell types].
    config : path, optional
        TOML file with options of the command, by their long names, and with the settings of a training.
    report : bool
        Make the page, too, and return it with the result.
    copy : bool
        Return a copy of the cells, and leave these as they are.

    Returns
    -------
    None, AnnData or Result
        The cells if ``copy`` is set or they are read from a file, the result if ``report`` is, else nothing.

    Examples
    --------
    >>> tl.cells(adata, embedding="X_scGPT")  # doctest: +SKIP
    """
    given = dict(locals())
    words = _options(
        {
            "embedding": Option("--embedding"),
            "neighbours": Option("--neighbours"),
            "resolution": Option("--resolution"),
            "no_umap": Option("--no-umap", is_bare=True),
            "seed": Option("--seed"),
            "layer": Option("--layer"),
            "where": Option("--where"),
            "obs_from": Option("--obs-from"),
            "color": Option("--color"),
            "config": Option("--config"),
        },
        given,
    )
    return _call.on_cells(
        ["cells"], adata, words, record=_record("cells", given), layer=layer, report=report, copy=copy, can_report=True
    )


def annotate_train(
    adata: Cells,
    *,
    output: _Path,
    label: str | None = None,
    batch_key: str | None = None,
    unseen: str | Sequence[str] | Mapping[str, Any] | None = None,
    validation: float | None = None,
    test: float | None = None,
    method: Literal["network", "logistic", "centroid", "neighbours", "best"] | None = None,
    class_weights: Literal["equal", "square_root", "balanced"] | None = None,
    keep_order: bool = False,
    max_length: int | None = None,
    model: _Path | None = None,
    new_genes: Literal["none", "random", "spectral"] | None = None,
    epochs: int | None = None,
    max_steps: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    accumulate: int | None = None,
    gather_cells: bool = False,
    precision: str | None = None,
    lora: int | None = None,
    recompute: bool | None = None,
    seed: int | None = None,
    checkpoint_every: int = _default(200),
    plan: bool = False,
    resume: bool = False,
    force: bool = False,
    threads: int | None = None,
    device: str = _default("auto"),
    freeze: str | Sequence[str] | Mapping[str, Any] | None = None,
    repeats: int = _default(1),
    no_baselines: bool = False,
    gene_column: str | None = None,
    all_features: bool = False,
    genes_as_they_are: bool = False,
    min_genes: float | None = None,
    layer: str | None = None,
    where: str | None = None,
    obs_from: _Path | None = None,
    config: _Path | None = None,
) -> Result:
    """Learn cell types from labelled cells.

    With model a checkpoint is fine-tuned; without, a small network learns from these cells alone. A tenth of
    the cells selects the best network and calibrates its confidence, another tenth judges it beside simple
    methods. The artefact is one folder with all that `tl.annotate_predict` needs, its model card, and a report.
    Stopped by Ctrl-C or killed, resume goes on.

    With method logistic, centroid or neighbours the artefact is that simple method, calibrated and judged in
    the same way. Where a report says that one of them is better than the network, its last line is the command.

    Parameters
    ----------
    adata : AnnData or path
        Cells in memory, or a file or folder of them.
    output : path
        Folder of the artefact.
    label : str, optional
        Column of obs with the cell types.
    batch_key : str, optional
        Column of obs with batches that the network shall not tell apart (sets objectives.dar to 1).
    unseen : str or Sequence[str] or Mapping[str, Any], optional
        Type to leave out of training, to see how well its cells are noticed as unknown; may be given
        several times.
    validation : float, optional
        Share of the cells that selects and calibrates the network [default: 0.1].
    test : float, optional
        Share of the cells that judges it [default: 0.1].
    method : {'network', 'logistic', 'centroid', 'neighbours', 'best'}, optional
        What tells the types: a network, a simple method, which trains none and takes seconds, or the best
        of all by the validation cells [default: network].
    class_weights : {'equal', 'square_root', 'balanced'}, optional
        How much cells of large and small classes count [default: equal; of a new network balanced].
    keep_order : bool
        The same batches in every epoch, as in the reference, instead of newly shuffled ones.
    max_length : int, optional
        Most tokens per cell.
    model : path, optional
        Model directory to fine-tune [default: a small network learns from scratch].
    new_genes : {'none', 'random', 'spectral'}, optional
        Genes that model does not know: left out (none), or added to its vocabulary with vectors that are
        drawn (random) or mapped from their co-expression with genes that it knows (spectral) [default:
        none].
    epochs : int, optional
        Passes over the cells.
    max_steps : int, optional
        Stop after that many optimiser steps.
    batch_size : int, optional
        Cells per batch.
    lr : float, optional
        Learning rate.
    accumulate : int, optional
        Batches whose gradients are added up for a step; several workers share them [default: 1].
    gather_cells : bool
        Let objectives between cells (ECS, contrastive) see the cells of all batches of a step, not of one.
    precision : str, optional
        Numbers that passes multiply: f32; bf16 or bf16x3, faster on a CPU that has instructions for them,
        see `python -m scgpt_rs inspect --system`, and bf16 or f16 on a GPU [default: f32].
    lora : int, optional
        Rank of adapters that learn instead of the weights of model: less memory, and a file of a few MB
        beside the weights [default: all weights learn].
    recompute : bool, optional
        Keep no states inside blocks, which are computed again for their gradients: less memory for more
        time, and the same result [default: true with lora on a CPU, else false].
    seed : int, optional
        Seed of every random choice.
    checkpoint_every : int
        Optimiser steps between checkpoints, beside those at validations.
    plan : bool
        Tell what the training will need, by a few of its steps, and leave nothing: parameters, memory,
        speed and time, and what would need less memory.
    resume : bool
        Go on from the newest usable checkpoint, with the settings of the run.
    force : bool
        Begin anew in a folder that is in use.
    threads : int, optional
        CPU threads [default: all].
    device : str
        Where to compute: cpu, cuda, cuda:N, wgpu or auto.
    freeze : str or Sequence[str] or Mapping[str, Any], optional
        Parts that do not learn: genes, values, conditions, transformer, expression_heads, blocks:N.
    repeats : int
        Train and judge that often, with other seeds and another part to judge by, for intervals.
    no_baselines : bool
        Do not compare with simple methods.
    gene_column : str, optional
        Column of var with gene names, or index [default: the one with most known genes].
    all_features : bool
        Take features that var/feature_types calls antibodies, peaks or guides for genes, too.
    genes_as_they_are : bool
        Know genes by the names of the model alone, not by ids of Ensembl, previous symbols, aliases,
        orthologs in the mouse or in other case.
    min_genes : float, optional
        Least share of genes that have to be known, 0 for none [default: a tenth of the file's or of the
        vocabulary's, and a twentieth of what the model sees of a cell; half of those of the artefact of an
        integration].
    layer : str
        Matrix to read: X, raw, or the name of a layer.
    where : str, optional
        Read the cells for which this is true of their columns of obs and no others, in SQL, such as "tissue
        = 'blood' AND n_genes > 500".
    obs_from : path, optional
        Table (csv, tsv or parquet) whose columns join obs, by the column that has the names of cells.
    config : path, optional
        TOML file with options of the command, by their long names, and with the settings of a training.

    Returns
    -------
    Result
        What was found; ``output`` is where it was written.

    Examples
    --------
    >>> tl.annotate_train(reference, label="cell_type", model="scGPT_human", output="types")  # doctest: +SKIP
    """
    given = dict(locals())
    words = _options(
        {
            "label": Option("--label"),
            "batch_key": Option("--batch-key"),
            "unseen": Option("--unseen"),
            "validation": Option("--validation"),
            "test": Option("--test"),
            "method": Option("--method"),
            "class_weights": Option("--class-weights"),
            "keep_order": Option("--keep-order", is_bare=True),
            "max_length": Option("--max-length"),
            "model": Option("--model"),
            "new_genes": Option("--new-genes"),
            "epochs": Option("--epochs"),
            "max_steps": Option("--max-steps"),
            "batch_size": Option("--batch-size"),
            "lr": Option("--lr"),
            "accumulate": Option("--accumulate"),
            "gather_cells": Option("--gather-cells", is_bare=True),
            "precision": Option("--precision"),
            "lora": Option("--lora"),
            "recompute": Option("--recompute"),
            "seed": Option("--seed"),
            "checkpoint_every": Option("--checkpoint-every"),
            "plan": Option("--plan", is_bare=True),
            "resume": Option("--resume", is_bare=True),
            "force": Option("--force", is_bare=True),
            "threads": Option("--threads"),
            "device": Option("--device"),
            "freeze": Option("--freeze", delimiter=","),
            "repeats": Option("--repeats"),
            "no_baselines": Option("--no-baselines", is_bare=True),
            "gene_column": Option("--gene-column"),
            "all_features": Option("--all-features", is_bare=True),
            "genes_as_they_are": Option("--genes-as-they-are", is_bare=True),
            "min_genes": Option("--min-genes"),
            "layer": Option("--layer"),
            "where": Option("--where"),
            "obs_from": Option("--obs-from"),
            "config": Option("--config"),
        },
        given,
    )
    return _call.to_folder(["annotate", "train"], {"": adata}, output, words, layer=layer)


def annotate_predict(
    adata: Cells,
    *,
    model: _Path,
    coverage: float = _default(0.9),
    known_share: float = _default(0.95),
    unknown_score: Literal["confidence", "energy", "distance", "expression"] = _default("expression"),
    explain: int | None = None,
    probabilities: bool = False,
    majority_voting: str | bool | None = None,
    min_share: float = _default(0),
    umap: bool = False,
    leiden: float | bool | None = None,
    batch_size: int = _default(8),
    precision: Literal["exact", "bf16x3", "bf16"] = _default("exact"),
    threads: int | None = None,
    device: str = _default("auto"),
    gene_column: str | None = None,
    all_features: bool = False,
    genes_as_they_are: bool = False,
    min_genes: float | None = None,
    layer: str | None = None,
    where: str | None = None,
    obs_from: _Path | None = None,
    color: str | Sequence[str] | Mapping[str, Any] | None = None,
    config: _Path | None = None,
    report: bool = False,
    copy: bool = False,
) -> Any:
    """Tell the types of cells, and how sure that is.

    Writes columns in obs: scgpt_prediction; scgpt_confidence, its calibrated probability; scgpt_prediction_set,
    the plausible types, which hold the true one in the share coverage of the cells of each known type;
    scgpt_unknown, whether the cell is unlike all known types, by scgpt_strangeness. obsm/X_scGPT has the
    embedding by which types are told apart; of an artefact of a simple method, obsm/X_scgpt_pca the principal
    components of its genes. The page has a map of the cells, sizes, certainty and markers of types.

    Parameters
    ----------
    adata : AnnData or path
        Cells in memory, or a file or folder of them.
    model : path
        Artefact of `tl.annotate_train`.
    coverage : float
        How often the plausible types shall hold the true one.
    known_share : float
        Share of cells of known types that shall not be called unknown.
    unknown_score : {'confidence', 'energy', 'distance', 'expression'}
        Measure of how unlike all known types a cell is.
    explain : int, optional
        Say which genes told each type, so many of them, by up to 100 of its cells.
    probabilities : bool
        Write the probabilities of all types, too: obsm/scgpt_probabilities.
    majority_voting : str or bool, optional
        Let clusters vote, those of this column of obs or small ones that are found by the embedding: obs
        gets the type with most votes in the cell's cluster, scgpt_majority_voting, its share of the votes,
        scgpt_majority_confidence, and clusters that were found, scgpt_over_clustering.
    min_share : float
        Share of the votes that a type needs; clusters in which none has it are `Heterogeneous`.
    umap : bool
        Write a UMAP of the embedding, too, and the neighbours of each cell: obsm/X_umap, obsp,
        uns/neighbors.
    leiden : float or bool, optional
        Write Leiden clusters of the embedding, too: obs/leiden; the higher the resolution, the more, 1 if
        none is given.
    batch_size : int
        Cells computed at once; affects speed and memory only.
    precision : {'exact', 'bf16x3', 'bf16'}
        Numbers that cells are computed in; bf16 is faster where the processor has tiles of it.
    threads : int, optional
        CPU threads [default: all].
    device : str
        Where to compute: cpu, cuda, cuda:N, wgpu or auto.
    gene_column : str, optional
        Column of var with gene names, or index [default: the one with most known genes].
    all_features : bool
        Take features that var/feature_types calls antibodies, peaks or guides for genes, too.
    genes_as_they_are : bool
        Know genes by the names of the model alone, not by ids of Ensembl, previous symbols, aliases,
        orthologs in the mouse or in other case.
    min_genes : float, optional
        Least share of genes that have to be known, 0 for none [default: a tenth of the file's or of the
        vocabulary's, and a twentieth of what the model sees of a cell; half of those of the artefact of an
        integration].
    layer : str
        Matrix to read: X, raw, or the name of a layer.
    where : str, optional
        Read the cells for which this is true of their columns of obs and no others, in SQL, such as "tissue
        = 'blood' AND n_genes > 500".
    obs_from : path, optional
        Table (csv, tsv or parquet) whose columns join obs, by the column that has the names of cells.
    color : str or Sequence[str] or Mapping[str, Any], optional
        Column of obs, or gene, that colours the map; given again, another one is in its menu [default: what
        the command found, or a column that looks like cell types].
    config : path, optional
        TOML file with options of the command, by their long names, and with the settings of a training.
    report : bool
        Make the page, too, and return it with the result.
    copy : bool
        Return a copy of the cells, and leave these as they are.

    Returns
    -------
    None, AnnData or Result
        The cells if ``copy`` is set or they are read from a file, the result if ``report`` is, else nothing.

    Examples
    --------
    >>> tl.annotate_predict(query, model="types", umap=True)  # doctest: +SKIP
    """
    given = dict(locals())
    words = _options(
        {
            "model": Option("--model"),
            "coverage": Option("--coverage"),
            "known_share": Option("--known-share"),
            "unknown_score": Option("--unknown-score"),
            "explain": Option("--explain"),
            "probabilities": Option("--probabilities", is_bare=True),
            "majority_voting": Option("--majority-voting", is_bare=True),
            "min_share": Option("--min-share"),
            "umap": Option("--umap", is_bare=True),
            "leiden": Option("--leiden", is_bare=True),
            "batch_size": Option("--batch-size"),
            "precision": Option("--precision"),
            "threads": Option("--threads"),
            "device": Option("--device"),
            "gene_column": Option("--gene-column"),
            "all_features": Option("--all-features", is_bare=True),
            "genes_as_they_are": Option("--genes-as-they-are", is_bare=True),
            "min_genes": Option("--min-genes"),
            "layer": Option("--layer"),
            "where": Option("--where"),
            "obs_from": Option("--obs-from"),
            "color": Option("--color"),
            "config": Option("--config"),
        },
        given,
    )
    return _call.on_cells(
        ["annotate", "predict"],
        adata,
        words,
        record=_record("annotate_predict", given),
        layer=layer,
        report=report,
        copy=copy,
        can_report=True,
    )


def annotate_explain(
    adata: Cells,
    *,
    model: _Path,
    output: _Path,
    force: bool = False,
    genes: int = _default(20),
    cells: int = _default(100),
    seed: int = _default(0),
    batch_size: int = _default(8),
    precision: Literal["exact", "bf16x3", "bf16"] = _default("exact"),
    threads: int | None = None,
    device: str = _default("auto"),
    gene_column: str | None = None,
    all_features: bool = False,
    genes_as_they_are: bool = False,
    min_genes: float | None = None,
    layer: str | None = None,
    where: str | None = None,
    obs_from: _Path | None = None,
    config: _Path | None = None,
) -> Result:
    """Tell by which genes the types of cells are told.

    For each type that cells are said to be of, the genes that added most to its score beyond that of the other
    types, on average over some of these cells: by the network's gradients, or the terms of a simple method.
    Beside each is its place among the genes that the training cells of the type express more than others.

    Parameters
    ----------
    adata : AnnData or path
        Cells in memory, or a file or folder of them.
    model : path
        Artefact of `tl.annotate_train`.
    output : path
        Table to write: .csv, .tsv or .parquet.
    force : bool
        Overwrite the output.
    genes : int
        Genes of each type.
    cells : int
        Most cells of each type that are looked at.
    seed : int
        Seed of the choice of cells.
    batch_size : int
        Cells computed at once; affects speed and memory only.
    precision : {'exact', 'bf16x3', 'bf16'}
        Numbers that cells are computed in; bf16 is faster where the processor has tiles of it.
    threads : int, optional
        CPU threads [default: all].
    device : str
        Where to compute: cpu, cuda, cuda:N, wgpu or auto.
    gene_column : str, optional
        Column of var with gene names, or index [default: the one with most known genes].
    all_features : bool
        Take features that var/feature_types calls antibodies, peaks or guides for genes, too.
    genes_as_they_are : bool
        Know genes by the names of the model alone, not by ids of Ensembl, previous symbols, aliases,
        orthologs in the mouse or in other case.
    min_genes : float, optional
        Least share of genes that have to be known, 0 for none [default: a tenth of the file's or of the
        vocabulary's, and a twentieth of what the model sees of a cell; half of those of the artefact of an
        integration].
    layer : str
        Matrix to read: X, raw, or the name of a layer.
    where : str, optional
        Read the cells for which this is true of their columns of obs and no others, in SQL, such as "tissue
        = 'blood' AND n_genes > 500".
    obs_from : path, optional
        Table (csv, tsv or parquet) whose columns join obs, by the column that has the names of cells.
    config : path, optional
        TOML file with options of the command, by their long names, and with the settings of a training.

    Returns
    -------
    Result
        What was found; ``output`` is where it was written.

    Examples
    --------
    >>> tl.annotate_explain(query, model="types", output="genes.csv")  # doctest: +SKIP
    """
    given = dict(locals())
    words = _options(
        {
            "model": Option("--model"),
            "force": Option("--force", is_bare=True),
            "genes": Option("--genes"),
            "cells": Option("--cells"),
            "seed": Option("--seed"),
            "batch_size": Option("--batch-size"),
            "precision": Option("--precision"),
            "threads": Option("--threads"),
            "device": Option("--device"),
            "gene_column": Option("--gene-column"),
            "all_features": Option("--all-features", is_bare=True),
            "genes_as_they_are": Option("--genes-as-they-are", is_bare=True),
            "min_genes": Option("--min-genes"),
            "layer": Option("--layer"),
            "where": Option("--where"),
            "obs_from": Option("--obs-from"),
            "config": Option("--config"),
        },
        given,
    )
    return _call.to_folder(["annotate", "explain"], {"": adata}, output, words, layer=layer)


def map_index(
    adata: Cells,
    *,
    labels: str | Sequence[str] | Mapping[str, Any],
    output: _Path,
    model: _Path | None = None,
    embedding: str | None = None,
    append: bool = False,
    approximate: bool = False,
    max_length: int | None = None,
    seed: int = _default(0),
    batch_size: int = _default(8),
    precision: Literal["exact", "bf16x3", "bf16"] = _default("exact"),
    threads: int | None = None,
    device: str = _default("auto"),
    gene_column: str | None = None,
    all_features: bool = False,
    genes_as_they_are: bool = False,
    min_genes: float | None = None,
    layer: str | None = None,
    where: str | None = None,
    obs_from: _Path | None = None,
    force: bool = False,
    config: _Path | None = None,
) -> Result:
    """Make an index of labelled reference cells, or add to one.

    The index is one folder: embeddings of the cells, their labels, and which model made them. It is opened as
    memory, so that size does not matter. With approximate, only the lists of cells that are nearest to a query
    are looked into, in a quarter of the room and a fraction of the time: for atlases.

    Parameters
    ----------
    adata : AnnData or path
        Cells in memory, or a file or folder of them.
    labels : str or Sequence[str] or Mapping[str, Any]
        Columns of obs with labels.
    output : path
        Folder of the index.
    model : path, optional
        Model directory; to append, that of the index if none.
    embedding : str, optional
        Take embeddings from this name in obsm, instead of making them with a model.
    append : bool
        Add to the index.
    approximate : bool
        Find neighbours approximately.
    max_length : int, optional
        Most tokens per cell [default: the model's].
    seed : int
        Seed of every random choice.
    batch_size : int
        Cells computed at once; affects speed and memory only.
    precision : {'exact', 'bf16x3', 'bf16'}
        Numbers that cells are computed in; bf16 is faster where the processor has tiles of it.
    threads : int, optional
        CPU threads [default: all].
    device : str
        Where to compute: cpu, cuda, cuda:N, wgpu or auto.
    gene_column : str, optional
        Column of var with gene names, or index [default: the one with most known genes].
    all_features : bool
        Take features that var/feature_types calls antibodies, peaks or guides for genes, too.
    genes_as_they_are : bool
        Know genes by the names of the model alone, not by ids of Ensembl, previous symbols, aliases,
        orthologs in the mouse or in other case.
    min_genes : float, optional
        Least share of genes that have to be known, 0 for none [default: a tenth of the file's or of the
        vocabulary's, and a twentieth of what the model sees of a cell; half of those of the artefact of an
        integration].
    layer : str
        Matrix to read: X, raw, or the name of a layer.
    where : str, optional
        Read the cells for which this is true of their columns of obs and no others, in SQL, such as "tissue
        = 'blood' AND n_genes > 500".
    obs_from : path, optional
        Table (csv, tsv or parquet) whose columns join obs, by the column that has the names of cells.
    force : bool
        Replace the index.
    config : path, optional
        TOML file with options of the command, by their long names, and with the settings of a training.

    Returns
    -------
    Result
        What was found; ``output`` is where it was written.

    Examples
    --------
    >>> tl.map_index(reference, model="scGPT_human", labels="cell_type", output="atlas")  # doctest: +SKIP
    """
    given = dict(locals())
    words = _options(
        {
            "model": Option("--model"),
            "embedding": Option("--embedding"),
            "labels": Option("--labels", delimiter=","),
            "append": Option("--append", is_bare=True),
            "approximate": Option("--approximate", is_bare=True),
            "max_length": Option("--max-length"),
            "seed": Option("--seed"),
            "batch_size": Option("--batch-size"),
            "precision": Option("--precision"),
            "threads": Option("--threads"),
            "device": Option("--device"),
            "gene_column": Option("--gene-column"),
            "all_features": Option("--all-features", is_bare=True),
            "genes_as_they_are": Option("--genes-as-they-are", is_bare=True),
            "min_genes": Option("--min-genes"),
            "layer": Option("--layer"),
            "where": Option("--where"),
            "obs_from": Option("--obs-from"),
            "force": Option("--force", is_bare=True),
            "config": Option("--config"),
        },
        given,
    )
    return _call.to_folder(["map", "index"], {"": adata}, output, words, layer=layer)


def map_query(
    adata: Cells,
    *,
    index: _Path,
    model: _Path | None = None,
    k: int = _default(10),
    voting: Literal["majority", "proportional"] = _default("majority"),
    known_share: float = _default(0.95),
    neighbours: bool = False,
    umap: bool = False,
    leiden: float | bool | None = None,
    batch_size: int = _default(8),
    precision: Literal["exact", "bf16x3", "bf16"] = _default("exact"),
    threads: int | None = None,
    device: str = _default("auto"),
    gene_column: str | None = None,
    all_features: bool = False,
    genes_as_they_are: bool = False,
    min_genes: float | None = None,
    layer: str | None = None,
    where: str | None = None,
    obs_from: _Path | None = None,
    color: str | Sequence[str] | Mapping[str, Any] | None = None,
    config: _Path | None = None,
    report: bool = False,
    copy: bool = False,
) -> Any:
    """Find the labels of cells by their neighbours in an index.

    Writes, for each label column of the index, scgpt_map_COLUMN and scgpt_map_COLUMN_confidence in obs,
    scgpt_map_unknown (whether a cell is farther from the reference than its own cells are from each other), and
    the embedding in obsm/X_scGPT. The page has a map of the cells, sizes, certainty and markers of labels.

    Parameters
    ----------
    adata : AnnData or path
        Cells in memory, or a file or folder of them.
    index : path
        Folder of the index.
    model : path, optional
        Model directory [default: where it was when the index was made].
    k : int
        Neighbours that vote.
    voting : {'majority', 'proportional'}
        How votes are counted.
    known_share : float
        Share of cells as near as the reference's own that shall not be called unknown.
    neighbours : bool
        Write distances and numbers of the neighbours, too: obsm/scgpt_map_distances, _neighbours.
    umap : bool
        Write a UMAP of the embedding, too, and the neighbours of each cell: obsm/X_umap, obsp,
        uns/neighbors.
    leiden : float or bool, optional
        Write Leiden clusters of the embedding, too: obs/leiden; the higher the resolution, the more, 1 if
        none is given.
    batch_size : int
        Cells computed at once; affects speed and memory only.
    precision : {'exact', 'bf16x3', 'bf16'}
        Numbers that cells are computed in; bf16 is faster where the processor has tiles of it.
    threads : int, optional
        CPU threads [default: all].
    device : str
        Where to compute: cpu, cuda, cuda:N, wgpu or auto.
    gene_column : str, optional
        Column of var with gene names, or index [default: the one with most known genes].
    all_features : bool
        Take features that var/feature_types calls antibodies, peaks or guides for genes, too.
    genes_as_they_are : bool
        Know genes by the names of the model alone, not by ids of Ensembl, previous symbols, aliases,
        orthologs in the mouse or in other case.
    min_genes : float, optional
        Least share of genes that have to be known, 0 for none [default: a tenth of the file's or of the
        vocabulary's, and a twentieth of what the model sees of a cell; half of those of the artefact of an
        integration].
    layer : str
        Matrix to read: X, raw, or the name of a layer.
    where : str, optional
        Read the cells for which this is true of their columns of obs and no others, in SQL, such as "tissue
        = 'blood' AND n_genes > 500".
    obs_from : path, optional
        Table (csv, tsv or parquet) whose columns join obs, by the column that has the names of cells.
    color : str or Sequence[str] or Mapping[str, Any], optional
        Column of obs, or gene, that colours the map; given again, another one is in its menu [default: what
        the command found, or a column that looks like cell types].
    config : path, optional
        TOML file with options of the command, by their long names, and with the settings of a training.
    report : bool
        Make the page, too, and return it with the result.
    copy : bool
        Return a copy of the cells, and leave these as they are.

    Returns
    -------
    None, AnnData or Result
        The cells if ``copy`` is set or they are read from a file, the result if ``report`` is, else nothing.

    Examples
    --------
    >>> tl.map_query(query, index="atlas")  # doctest: +SKIP
    """
    given = dict(locals())
    words = _options(
        {
            "index": Option("--index"),
            "model": Option("--model"),
            "k": Option("-k"),
            "voting": Option("--voting"),
            "known_share": Option("--known-share"),
            "neighbours": Option("--neighbours", is_bare=True),
            "umap": Option("--umap", is_bare=True),
            "leiden": Option("--leiden", is_bare=True),
            "batch_size": Option("--batch-size"),
            "precision": Option("--precision"),
            "threads": Option("--threads"),
            "device": Option("--device"),
            "gene_column": Option("--gene-column"),
            "all_features": Option("--all-features", is_bare=True),
            "genes_as_they_are": Option("--genes-as-they-are", is_bare=True),
            "min_genes": Option("--min-genes"),
            "layer": Option("--layer"),
            "where": Option("--where"),
            "obs_from": Option("--obs-from"),
            "color": Option("--color"),
            "config": Option("--config"),
        },
        given,
    )
    return _call.on_cells(
        ["map", "query"],
        adata,
        words,
        record=_record("map_query", given),
        layer=layer,
        report=report,
        copy=copy,
        can_report=True,
    )


def integrate(
    adata: Cells,
    *,
    batch_key: str | None = None,
    label: str | None = None,
    method: Literal["network", "harmony", "combat", "pca", "lsi", "best"] | None = None,
    artefact: _Path | None = None,
    hvg: int | None = None,
    max_length: int | None = None,
    objectives: str | Sequence[str] | Mapping[str, Any] | None = None,
    input_norm: Literal["none", "batch", "domain_specific"] | None = None,
    no_batch_labels: bool = False,
    select_by: str | None = None,
    validation: float | None = None,
    ablate: bool = False,
    parity: bool = False,
    umap: bool = False,
    leiden: float | bool | None = None,
    new_genes: Literal["none", "random", "spectral"] | None = None,
    epochs: int | None = None,
    max_steps: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    accumulate: int | None = None,
    gather_cells: bool = False,
    precision: str | None = None,
    lora: int | None = None,
    recompute: bool | None = None,
    seed: int | None = None,
    checkpoint_every: int = _default(200),
    plan: bool = False,
    resume: bool = False,
    force: bool = False,
    threads: int | None = None,
    device: str = _default("auto"),
    freeze: str | Sequence[str] | Mapping[str, Any] | None = None,
    repeats: int = _default(1),
    no_baselines: bool = False,
    gene_column: str | None = None,
    all_features: bool = False,
    genes_as_they_are: bool = False,
    min_genes: float | None = None,
    layer: str | None = None,
    where: str | None = None,
    obs_from: _Path | None = None,
    sample: str | Sequence[str] | Mapping[str, Any] | None = None,
    modality_key: str | None = None,
    modalities: str | Sequence[str] | Mapping[str, Any] | None = None,
    obsm: str | None = None,
    prefix: str | Sequence[str] | Mapping[str, Any] | None = None,
    other_features: int | None = None,
    features: str | Sequence[str] | Mapping[str, Any] | None = None,
    peak_flavour: Literal["seurat_v3", "cell_ranger", "seurat", "accessibility", "tfidf"] | None = None,
    links: _Path | None = None,
    complete: _Path | None = None,
    truth: _Path | None = None,
    model: _Path | None = None,
    config: _Path | None = None,
    report: bool = False,
    copy: bool = False,
) -> Any:
    """Integrate batches, and modalities: an embedding in which they are mixed.

    Several modalities (genes, proteins, open chromatin) come as MuData, or as an AnnData with
    var/feature_types; cells may lack some of them. A feature expressed in a cell is a token; values are binned
    by cell and modality. MuData has the embedding of all cells at its root.

    With model a checkpoint is fine-tuned; without, a small network learns from these cells alone: it begins
    with what genes have in common, and keeps that if training does not gain on it. Batches that a classifier
    cannot tell apart are left as they are, unless input_norm or objectives dar=1 asks. Writes obsm/X_scGPT;
    scores by the labels, which are not learned from, stand beside those of other methods in a report. The
    folder artefact embeds further cells of the same batches: pass it as model, and nothing is trained. Stopped
    by Ctrl-C or killed, resume goes on.

    method takes a simple method in place of the network: seconds, no training, and as good on many cells, as
    the report says. It writes obsm/X_harmony, X_combat, X_pca or X_lsi. Of several modalities, pca is of all of
    them side by side (LSI of open chromatin), harmony the same without batches, and combat is not to be had;
    weighted nearest neighbours are in the report alone, as they are a graph. Only pca of one modality has
    places for further cells, by its artefact as model. best trains the network and takes what has the highest
    overall score by label.

    Parameters
    ----------
    adata : AnnData, MuData or path
        Cells in memory, or a file or folder of them.
    batch_key : str, optional
        Column of obs with the batches.
    label : str, optional
        Column of obs with labels to score by; nothing is learned from them.
    method : {'network', 'harmony', 'combat', 'pca', 'lsi', 'best'}, optional
        What integrates: the network, a simple method without one, or the best of all by scores of label
        [default: network].
    artefact : path, optional
        Folder of the artefact and the report [default: neither is kept].
    hvg : int, optional
        Genes that vary most within the batches, which cells are compared by [default: 1200; 300 for a new
        network of a mosaic that hardly any cells link].
    max_length : int, optional
        Most tokens per cell while training.
    objectives : str or Sequence[str] or Mapping[str, Any], optional
        Weights of objectives: gep, gep_zero, gepc, gepc_zero, ecs, dar; 0 leaves one out.
    input_norm : {'none', 'batch', 'domain_specific'}, optional
        Batch normalisation of the tokens [default: domain_specific; none if batches cannot be told, for a
        mosaic, and for several modalities with model].
    no_batch_labels : bool
        Do not tell the expression heads which batch a cell is of.
    select_by : str, optional
        What selects the network and ends the training: loss; thinning, the share of cells that a random
        half of their counts finds again, or foscttm, the share of others between the modalities of a cell,
        by which the start is kept if nothing is better; or another metric of the validation: gepc,
        dar_accuracy, …; with label also avg_bio, avg_batch, overall [default: loss; thinning if batches
        cannot be told; foscttm for a new network of a mosaic].
    validation : float, optional
        Share of the cells that selects the network [default: 0.1].
    ablate : bool
        Train once more without each part, for a table of what it contributes.
    parity : bool
        As the reference does: ties of bins at random, its lengths and epsilon, one batch after the other in
        every epoch, `<cls>` hidden too; with several modalities, only the gene vectors of model are kept,
        and no modality is hidden as a whole.
    umap : bool
        Write a UMAP of the embedding, too, and the neighbours of each cell: obsm/X_umap, obsp,
        uns/neighbors.
    leiden : float or bool, optional
        Write Leiden clusters of the embedding, too: obs/leiden; the higher the resolution, the more, 1 if
        none is given.
    new_genes : {'none', 'random', 'spectral'}, optional
        Genes that model does not know: left out (none), or added to its vocabulary with vectors that are
        drawn (random) or mapped from their co-expression with genes that it knows (spectral) [default:
        none].
    epochs : int, optional
        Passes over the cells.
    max_steps : int, optional
        Stop after that many optimiser steps.
    batch_size : int, optional
        Cells per batch.
    lr : float, optional
        Learning rate.
    accumulate : int, optional
        Batches whose gradients are added up for a step; several workers share them [default: 1].
    gather_cells : bool
        Let objectives between cells (ECS, contrastive) see the cells of all batches of a step, not of one.
    precision : str, optional
        Numbers that passes multiply: f32; bf16 or bf16x3, faster on a CPU that has instructions for them,
        see `python -m scgpt_rs inspect --system`, and bf16 or f16 on a GPU [default: f32].
    lora : int, optional
        Rank of adapters that learn instead of the weights of model: less memory, and a file of a few MB
        beside the weights [default: all weights learn].
    recompute : bool, optional
        Keep no states inside blocks, which are computed again for their gradients: less memory for more
        time, and the same result [default: true with lora on a CPU, else false].
    seed : int, optional
        Seed of every random choice.
    checkpoint_every : int
        Optimiser steps between checkpoints, beside those at validations.
    plan : bool
        Tell what the training will need, by a few of its steps, and leave nothing: parameters, memory,
        speed and time, and what would need less memory.
    resume : bool
        Go on from the newest usable checkpoint, with the settings of the run.
    force : bool
        Begin anew in a folder that is in use.
    threads : int, optional
        CPU threads [default: all].
    device : str
        Where to compute: cpu, cuda, cuda:N, wgpu or auto.
    freeze : str or Sequence[str] or Mapping[str, Any], optional
        Parts that do not learn: genes, values, conditions, transformer, expression_heads, blocks:N.
    repeats : int
        Train and judge that often, with other seeds and another part to judge by, for intervals.
    no_baselines : bool
        Do not compare with simple methods.
    gene_column : str, optional
        Column of var with gene names, or index [default: the one with most known genes].
    all_features : bool
        Take features that var/feature_types calls antibodies, peaks or guides for genes, too.
    genes_as_they_are : bool
        Know genes by the names of the model alone, not by ids of Ensembl, previous symbols, aliases,
        orthologs in the mouse or in other case.
    min_genes : float, optional
        Least share of genes that have to be known, 0 for none [default: a tenth of the file's or of the
        vocabulary's, and a twentieth of what the model sees of a cell; half of those of the artefact of an
        integration].
    layer : str
        Matrix to read: X, raw, or the name of a layer.
    where : str, optional
        Read the cells for which this is true of their columns of obs and no others, in SQL, such as "tissue
        = 'blood' AND n_genes > 500".
    obs_from : path, optional
        Table (csv, tsv or parquet) whose columns join obs, by the column that has the names of cells.
    sample : str or Sequence[str] or Mapping[str, Any], optional
        The sample of each input, in their order, such as lane1,lane2: the cell AAAC-1 becomes AAAC-1-lane1,
        and the column sample of obs has the names.
    modality_key : str, optional
        Column of var that tells modalities [default: feature_types, where a file has several].
    modalities : str or Sequence[str] or Mapping[str, Any], optional
        Modalities to use [default: all].
    obsm : str, optional
        Matrix in obsm with the features of a modality, such as Protein=protein_expression.
    prefix : str or Sequence[str] or Mapping[str, Any], optional
        What is put before the names of a modality's features, such as Protein=p_.
    other_features : int, optional
        Features of every modality but genes that vary most; 0 for all [default: 4000 with model and for a
        mosaic, else 300].
    features : str or Sequence[str] or Mapping[str, Any], optional
        Features of single modalities that vary most, such as RNA=1200,ATAC=4000; 0 for all [default: those
        of hvg and other_features].
    peak_flavour : {'seurat_v3', 'cell_ranger', 'seurat', 'accessibility', 'tfidf'}, optional
        Measure by which features of open chromatin are chosen [default: tfidf for a new network of a
        mosaic, else that of genes].
    links : path, optional
        Table of which peaks belong to which genes, such as those near them, by which a new network begins:
        columns peak, gene and, if the genes of a peak count differently, weight.
    complete : path, optional
        Also write a .h5ad of value bins in all modalities, those that cells were not measured in generated
        from the others.
    truth : path, optional
        The same cells, measured in everything, with which generated values are compared.
    model : path, optional
        Model directory to fine-tune, or the artefact of an integration to embed further cells [default: a
        small network learns from scratch].
    config : path, optional
        TOML file with options of the command, by their long names, and with the settings of a training.
    report : bool
        Make the page, too, and return it with the result.
    copy : bool
        Return a copy of the cells, and leave these as they are.

    Returns
    -------
    None, AnnData or Result
        The cells if ``copy`` is set or they are read from a file, the result if ``report`` is, else nothing.

    Examples
    --------
    >>> tl.integrate(adata, batch_key="batch", label="cell_type", method="harmony")  # doctest: +SKIP
    """
    given = dict(locals())
    words = _options(
        {
            "batch_key": Option("--batch-key"),
            "label": Option("--label"),
            "method": Option("--method"),
            "artefact": Option("--artefact"),
            "hvg": Option("--hvg"),
            "max_length": Option("--max-length"),
            "objectives": Option("--objectives", delimiter=","),
            "input_norm": Option("--input-norm"),
            "no_batch_labels": Option("--no-batch-labels", is_bare=True),
            "select_by": Option("--select-by"),
            "validation": Option("--validation"),
            "ablate": Option("--ablate", is_bare=True),
            "parity": Option("--parity", is_bare=True),
            "umap": Option("--umap", is_bare=True),
            "leiden": Option("--leiden", is_bare=True),
            "new_genes": Option("--new-genes"),
            "epochs": Option("--epochs"),
            "max_steps": Option("--max-steps"),
            "batch_size": Option("--batch-size"),
            "lr": Option("--lr"),
            "accumulate": Option("--accumulate"),
            "gather_cells": Option("--gather-cells", is_bare=True),
            "precision": Option("--precision"),
            "lora": Option("--lora"),
            "recompute": Option("--recompute"),
            "seed": Option("--seed"),
            "checkpoint_every": Option("--checkpoint-every"),
            "plan": Option("--plan", is_bare=True),
            "resume": Option("--resume", is_bare=True),
            "force": Option("--force", is_bare=True),
            "threads": Option("--threads"),
            "device": Option("--device"),
            "freeze": Option("--freeze", delimiter=","),
            "repeats": Option("--repeats"),
            "no_baselines": Option("--no-baselines", is_bare=True),
            "gene_column": Option("--gene-column"),
            "all_features": Option("--all-features", is_bare=True),
            "genes_as_they_are": Option("--genes-as-they-are", is_bare=True),
            "min_genes": Option("--min-genes"),
            "layer": Option("--layer"),
            "where": Option("--where"),
            "obs_from": Option("--obs-from"),
            "sample": Option("--sample", delimiter=","),
            "modality_key": Option("--modality-key"),
            "modalities": Option("--modalities", delimiter=","),
            "obsm": Option("--obsm"),
            "prefix": Option("--prefix", delimiter=","),
            "other_features": Option("--other-features"),
            "features": Option("--features", delimiter=","),
            "peak_flavour": Option("--peak-flavour"),
            "links": Option("--links"),
            "complete": Option("--complete"),
            "truth": Option("--truth"),
            "model": Option("--model"),
            "config": Option("--config"),
        },
        given,
    )
    return _call.on_cells(
        ["integrate"],
        adata,
        words,
        record=_record("integrate", given),
        layer=layer,
        report=report,
        copy=copy,
        can_report=False,
    )


def perturb_prepare(
    adata: Cells,
    *,
    output: _Path | None = None,
    force: bool = False,
    condition_key: str = _default("condition"),
    control: str = _default("ctrl"),
    separator: str = _default("+"),
    cell_type_key: str | None = None,
    gene_column: str | None = None,
    all_features: bool = False,
    genes_as_they_are: bool = False,
    min_genes: float | None = None,
    layer: str | None = None,
    where: str | None = None,
    obs_from: _Path | None = None,
    min_cells: int = _default(2),
    hvg: int | None = None,
    config: _Path | None = None,
) -> Any:
    """Bring perturbed cells into the layout that training reads.

    Makes cells as GEARS has them in perturb_processed.h5ad: log1p of values normalised to 10 000, conditions
    such as ctrl, A+ctrl and A+B in obs, gene names in var, and the genes that differ most from the controls of
    the cell type (Welch's t-test) in uns. Values that are normalised or logged already are not normalised or
    logged again.

    Parameters
    ----------
    adata : AnnData or path
        Cells in memory, or a file or folder of them.
    output : path, optional
        File to write: .h5ad, or .zarr for a folder.
    force : bool
        Overwrite the output.
    condition_key : str
        Column of obs with the conditions.
    control : str
        Name of the control, besides ctrl.
    separator : str
        What stands between the genes of a condition.
    cell_type_key : str, optional
        Column of obs with cell types, each compared with controls of its own.
    gene_column : str, optional
        Column of var with gene names, or index [default: the one with most known genes].
    all_features : bool
        Take features that var/feature_types calls antibodies, peaks or guides for genes, too.
    genes_as_they_are : bool
        Know genes by the names of the model alone, not by ids of Ensembl, previous symbols, aliases,
        orthologs in the mouse or in other case.
    min_genes : float, optional
        Least share of genes that have to be known, 0 for none [default: a tenth of the file's or of the
        vocabulary's, and a twentieth of what the model sees of a cell; half of those of the artefact of an
        integration].
    layer : str
        Matrix to read: X, raw, or the name of a layer.
    where : str, optional
        Read the cells for which this is true of their columns of obs and no others, in SQL, such as "tissue
        = 'blood' AND n_genes > 500".
    obs_from : path, optional
        Table (csv, tsv or parquet) whose columns join obs, by the column that has the names of cells.
    min_cells : int
        Conditions with fewer cells are left out.
    hvg : int, optional
        Keep that many of the most variable genes, and those perturbed [default: all genes].
    config : path, optional
        TOML file with options of the command, by their long names, and with the settings of a training.

    Returns
    -------
    AnnData or Path
        The cells, or the path of ``output`` if it is given.

    Examples
    --------
    >>> screen = tl.perturb_prepare(raw, condition_key="guide", control="non-targeting")  # doctest: +SKIP
    """
    given = dict(locals())
    words = _options(
        {
            "force": Option("--force", is_bare=True),
            "condition_key": Option("--condition-key"),
            "control": Option("--control"),
            "separator": Option("--separator"),
            "cell_type_key": Option("--cell-type-key"),
            "gene_column": Option("--gene-column"),
            "all_features": Option("--all-features", is_bare=True),
            "genes_as_they_are": Option("--genes-as-they-are", is_bare=True),
            "min_genes": Option("--min-genes"),
            "layer": Option("--layer"),
            "where": Option("--where"),
            "obs_from": Option("--obs-from"),
            "min_cells": Option("--min-cells"),
            "hvg": Option("--hvg"),
            "config": Option("--config"),
        },
        given,
    )
    return _call.new_cells(["perturb", "prepare"], {"": adata}, output, words, layer=layer)


def perturb_train(
    adata: Cells,
    *,
    output: _Path,
    split: Literal[
        "simulation", "simulation_single", "single", "combo_seen0", "combo_seen1", "combo_seen2", "no_test", "no_split"
    ] = _default("simulation"),
    split_file: _Path | None = None,
    pool: int | None = None,
    genes_per_step: int | None = None,
    parity: bool = False,
    condition_key: str = _default("condition"),
    control: str = _default("ctrl"),
    separator: str = _default("+"),
    cell_type_key: str | None = None,
    model: _Path | None = None,
    new_genes: Literal["none", "random", "spectral"] | None = None,
    epochs: int | None = None,
    max_steps: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    accumulate: int | None = None,
    gather_cells: bool = False,
    precision: str | None = None,
    lora: int | None = None,
    recompute: bool | None = None,
    seed: int | None = None,
    checkpoint_every: int = _default(200),
    plan: bool = False,
    resume: bool = False,
    force: bool = False,
    threads: int | None = None,
    device: str = _default("auto"),
    freeze: str | Sequence[str] | Mapping[str, Any] | None = None,
    repeats: int = _default(1),
    no_baselines: bool = False,
    gene_column: str | None = None,
    all_features: bool = False,
    genes_as_they_are: bool = False,
    min_genes: float | None = None,
    layer: str | None = None,
    where: str | None = None,
    obs_from: _Path | None = None,
    config: _Path | None = None,
) -> Result:
    """Learn responses from perturbed cells.

    Reads what `tl.perturb_prepare` writes, or any file of log1p values with conditions in obs. With model a
    checkpoint is fine-tuned; without, a small network learns from these cells alone. Some conditions are held
    out, by split, and judge the result beside simple methods. The artefact is one folder with all that
    `tl.perturb_predict` and `reverse` need. Stopped by Ctrl-C or killed, resume goes on.

    Parameters
    ----------
    adata : AnnData or path
        Cells in memory, or a file or folder of them.
    output : path
        Folder of the artefact.
    split : {'simulation', 'simulation_single', 'single', 'combo_seen0', 'combo_seen1', 'combo_seen2', 'no_test', 'no_split'}
        How conditions are held out.
    split_file : path, optional
        Hold out the conditions of a saved split (JSON with train, val and test).
    pool : int, optional
        Cells averaged on either side of a pair of control and perturbed cells [default: 32 from scratch, 1
        with model].
    genes_per_step : int, optional
        Genes that a step, and a prediction, sees at once; 0 for all [default: 256 from scratch, 1536 with
        model].
    parity : bool
        As the reference does: sample genes without regard to which are perturbed, put every cell in one
        pair of single cells, begin at random and predict all genes at once; settings of a file or an
        argument go first.
    condition_key : str
        Column of obs with the conditions.
    control : str
        Name of the control, besides ctrl.
    separator : str
        What stands between the genes of a condition.
    cell_type_key : str, optional
        Column of obs with cell types, each compared with controls of its own.
    model : path, optional
        Model directory to fine-tune [default: a small network learns from scratch].
    new_genes : {'none', 'random', 'spectral'}, optional
        Genes that model does not know: left out (none), or added to its vocabulary with vectors that are
        drawn (random) or mapped from their co-expression with genes that it knows (spectral) [default:
        none].
    epochs : int, optional
        Passes over the cells.
    max_steps : int, optional
        Stop after that many optimiser steps.
    batch_size : int, optional
        Cells per batch.
    lr : float, optional
        Learning rate.
    accumulate : int, optional
        Batches whose gradients are added up for a step; several workers share them [default: 1].
    gather_cells : bool
        Let objectives between cells (ECS, contrastive) see the cells of all batches of a step, not of one.
    precision : str, optional
        Numbers that passes multiply: f32; bf16 or bf16x3, faster on a CPU that has instructions for them,
        see `python -m scgpt_rs inspect --system`, and bf16 or f16 on a GPU [default: f32].
    lora : int, optional
        Rank of adapters that learn instead of the weights of model: less memory, and a file of a few MB
        beside the weights [default: all weights learn].
    recompute : bool, optional
        Keep no states inside blocks, which are computed again for their gradients: less memory for more
        time, and the same result [default: true with lora on a CPU, else false].
    seed : int, optional
        Seed of every random choice.
    checkpoint_every : int
        Optimiser steps between checkpoints, beside those at validations.
    plan : bool
        Tell what the training will need, by a few of its steps, and leave nothing: parameters, memory,
        speed and time, and what would need less memory.
    resume : bool
        Go on from the newest usable checkpoint, with the settings of the run.
    force : bool
        Begin anew in a folder that is in use.
    threads : int, optional
        CPU threads [default: all].
    device : str
        Where to compute: cpu, cuda, cuda:N, wgpu or auto.
    freeze : str or Sequence[str] or Mapping[str, Any], optional
        Parts that do not learn: genes, values, conditions, transformer, expression_heads, blocks:N.
    repeats : int
        Train and judge that often, with other seeds and another part to judge by, for intervals.
    no_baselines : bool
        Do not compare with simple methods.
    gene_column : str, optional
        Column of var with gene names, or index [default: the one with most known genes].
    all_features : bool
        Take features that var/feature_types calls antibodies, peaks or guides for genes, too.
    genes_as_they_are : bool
        Know genes by the names of the model alone, not by ids of Ensembl, previous symbols, aliases,
        orthologs in the mouse or in other case.
    min_genes : float, optional
        Least share of genes that have to be known, 0 for none [default: a tenth of the file's or of the
        vocabulary's, and a twentieth of what the model sees of a cell; half of those of the artefact of an
        integration].
    layer : str
        Matrix to read: X, raw, or the name of a layer.
    where : str, optional
        Read the cells for which this is true of their columns of obs and no others, in SQL, such as "tissue
        = 'blood' AND n_genes > 500".
    obs_from : path, optional
        Table (csv, tsv or parquet) whose columns join obs, by the column that has the names of cells.
    config : path, optional
        TOML file with options of the command, by their long names, and with the settings of a training.

    Returns
    -------
    Result
        What was found; ``output`` is where it was written.

    Examples
    --------
    >>> tl.perturb_train(screen, model="scGPT_human", output="screen")  # doctest: +SKIP
    """
    given = dict(locals())
    words = _options(
        {
            "split": Option("--split"),
            "split_file": Option("--split-file"),
            "pool": Option("--pool"),
            "genes_per_step": Option("--genes-per-step"),
            "parity": Option("--parity", is_bare=True),
            "condition_key": Option("--condition-key"),
            "control": Option("--control"),
            "separator": Option("--separator"),
            "cell_type_key": Option("--cell-type-key"),
            "model": Option("--model"),
            "new_genes": Option("--new-genes"),
            "epochs": Option("--epochs"),
            "max_steps": Option("--max-steps"),
            "batch_size": Option("--batch-size"),
            "lr": Option("--lr"),
            "accumulate": Option("--accumulate"),
            "gather_cells": Option("--gather-cells", is_bare=True),
            "precision": Option("--precision"),
            "lora": Option("--lora"),
            "recompute": Option("--recompute"),
            "seed": Option("--seed"),
            "checkpoint_every": Option("--checkpoint-every"),
            "plan": Option("--plan", is_bare=True),
            "resume": Option("--resume", is_bare=True),
            "force": Option("--force", is_bare=True),
            "threads": Option("--threads"),
            "device": Option("--device"),
            "freeze": Option("--freeze", delimiter=","),
            "repeats": Option("--repeats"),
            "no_baselines": Option("--no-baselines", is_bare=True),
            "gene_column": Option("--gene-column"),
            "all_features": Option("--all-features", is_bare=True),
            "genes_as_they_are": Option("--genes-as-they-are", is_bare=True),
            "min_genes": Option("--min-genes"),
            "layer": Option("--layer"),
            "where": Option("--where"),
            "obs_from": Option("--obs-from"),
            "config": Option("--config"),
        },
        given,
    )
    return _call.to_folder(["perturb", "train"], {"": adata}, output, words, layer=layer)


def perturb_predict(
    controls: Cells | None = None,
    *,
    model: _Path,
    genes: str | Sequence[str] | Mapping[str, Any] | None = None,
    candidates: _Path | None = None,
    pairs: bool = False,
    method: Literal["network", "additive", "linear", "matching_mean", "training_mean", "no_change", "best"] = _default(
        "network"
    ),
    obs_from: _Path | None = None,
    condition_key: str | None = None,
    cell_type: str | None = None,
    cells: int = _default(30),
    genes_per_pass: int | None = None,
    precision: Literal["exact", "bf16x3", "bf16"] = _default("exact"),
    output: _Path | None = None,
    force: bool = False,
    threads: int | None = None,
    device: str = _default("auto"),
    where: str | None = None,
    config: _Path | None = None,
) -> Any:
    """Predict cells in which genes are perturbed.

    Makes predicted cells: X the predicted log1p values of all genes of the artefact, obs the condition. They
    start from control cells, those of training unless controls names others. Genes that were not perturbed, and
    not even measured, in training can be asked for if they are in the vocabulary; the report of training says
    how far that can be trusted. Simple methods (method) predict from the means of the conditions of training;
    best is the method with the highest score in that report.

    Parameters
    ----------
    controls : AnnData or path, optional
        File of cells to start from, log1p values of the genes of the artefact.
    model : path
        Artefact of `tl.perturb_train`.
    genes : str or Sequence[str] or Mapping[str, Any], optional
        Genes perturbed together, joined by commas; again for another condition.
    candidates : path, optional
        File of candidate genes, one a line, or `all`: those perturbed in training.
    pairs : bool
        Also every pair of the candidate genes.
    method : {'network', 'additive', 'linear', 'matching_mean', 'training_mean', 'no_change', 'best'}
        What predicts: the network or a simple method.
    obs_from : path, optional
        Table (csv, tsv or parquet) whose columns join obs, by the column that has the names of cells.
    condition_key : str, optional
        Column of obs in that file which says which cells are controls [default: condition if there is such
        a column, else all are].
    cell_type : str, optional
        Cell type whose controls are started from, if the artefact tells several apart.
    cells : int
        Predicted cells of each condition.
    genes_per_pass : int, optional
        Genes predicted together; 0 for all [default: as many as in training].
    precision : {'exact', 'bf16x3', 'bf16'}
        Numbers that cells are computed in; bf16 is faster where the processor has tiles of it.
    output : path, optional
        File to write: .h5ad, or .zarr for a folder.
    force : bool
        Overwrite the output.
    threads : int, optional
        CPU threads [default: all].
    device : str
        Where to compute: cpu, cuda, cuda:N, wgpu or auto.
    where : str, optional
        Start from the cells of controls for which this is true of their columns of obs and no others, in
        SQL, such as "donor = 'D7' AND n_genes > 500".
    config : path, optional
        TOML file with options of the command, by their long names, and with the settings of a training.

    Returns
    -------
    AnnData or Path
        The cells, or the path of ``output`` if it is given.

    Examples
    --------
    >>> predicted = tl.perturb_predict(model="screen", genes=["KLF1,FOSB"])  # doctest: +SKIP
    """
    given = dict(locals())
    words = _options(
        {
            "model": Option("--model"),
            "genes": Option("--genes"),
            "candidates": Option("--candidates"),
            "pairs": Option("--pairs", is_bare=True),
            "method": Option("--method"),
            "obs_from": Option("--obs-from"),
            "condition_key": Option("--condition-key"),
            "cell_type": Option("--cell-type"),
            "cells": Option("--cells"),
            "genes_per_pass": Option("--genes-per-pass"),
            "precision": Option("--precision"),
            "force": Option("--force", is_bare=True),
            "threads": Option("--threads"),
            "device": Option("--device"),
            "where": Option("--where"),
            "config": Option("--config"),
        },
        given,
    )
    return _call.new_cells(["perturb", "predict"], {"--controls": controls}, output, words)


def perturb_reverse(
    adata: Cells,
    *,
    model: _Path,
    output: _Path,
    candidates: _Path | None = None,
    pairs: bool = False,
    predicted: _Path | None = None,
    group_key: str | None = None,
    k: int = _default(8),
    see_targets: bool = False,
    cell_type: str | None = None,
    genes_per_pass: int | None = None,
    precision: Literal["exact", "bf16x3", "bf16"] = _default("exact"),
    force: bool = False,
    condition_key: str = _default("condition"),
    control: str = _default("ctrl"),
    separator: str = _default("+"),
    cell_type_key: str | None = None,
    gene_column: str | None = None,
    all_features: bool = False,
    genes_as_they_are: bool = False,
    min_genes: float | None = None,
    layer: str | None = None,
    where: str | None = None,
    obs_from: _Path | None = None,
    threads: int | None = None,
    device: str = _default("auto"),
    cells: int = _default(30),
    config: _Path | None = None,
) -> Result:
    """Find the perturbation that explains cells.

    Predicts the state of every candidate, and searches the cells' states among them: each cell votes for its
    nearest predicted profiles. So that a candidate is not found by the expression of its own gene alone, that
    gene keeps the control's expression in the candidate's profile, unless see_targets is given. If the groups
    are conditions of known genes, the report tells how often the truth is found, beside random candidates, one
    answer for all, and the nearest profile seen in training.

    Parameters
    ----------
    adata : AnnData or path
        Cells in memory, or a file or folder of them.
    model : path
        Artefact of `tl.perturb_train`.
    output : path
        File to write: JSON, and a page beside it.
    candidates : path, optional
        File of candidate genes, one a line, or `all`: those perturbed in training.
    pairs : bool
        Also every pair of the candidate genes.
    predicted : path, optional
        Search among these cells, written by `tl.perturb_predict`, instead of predicting the candidates.
    group_key : str, optional
        Column of obs that groups the cells: conditions, clusters… [default: the condition column if there
        is one, else all cells are one group].
    k : int
        Most nearest profiles of a cell that vote, and most candidates named.
    see_targets : bool
        Let a candidate be found by the expression of its own genes.
    cell_type : str, optional
        Cell type whose controls are started from, if the artefact tells several apart.
    genes_per_pass : int, optional
        Genes predicted together; 0 for all [default: as many as in training].
    precision : {'exact', 'bf16x3', 'bf16'}
        Numbers that cells are computed in; bf16 is faster where the processor has tiles of it.
    force : bool
        Overwrite the output.
    condition_key : str
        Column of obs with the conditions.
    control : str
        Name of the control, besides ctrl.
    separator : str
        What stands between the genes of a condition.
    cell_type_key : str, optional
        Column of obs with cell types, each compared with controls of its own.
    gene_column : str, optional
        Column of var with gene names, or index [default: the one with most known genes].
    all_features : bool
        Take features that var/feature_types calls antibodies, peaks or guides for genes, too.
    genes_as_they_are : bool
        Know genes by the names of the model alone, not by ids of Ensembl, previous symbols, aliases,
        orthologs in the mouse or in other case.
    min_genes : float, optional
        Least share of genes that have to be known, 0 for none [default: a tenth of the file's or of the
        vocabulary's, and a twentieth of what the model sees of a cell; half of those of the artefact of an
        integration].
    layer : str
        Matrix to read: X, raw, or the name of a layer.
    where : str, optional
        Read the cells for which this is true of their columns of obs and no others, in SQL, such as "tissue
        = 'blood' AND n_genes > 500".
    obs_from : path, optional
        Table (csv, tsv or parquet) whose columns join obs, by the column that has the names of cells.
    threads : int, optional
        CPU threads [default: all].
    device : str
        Where to compute: cpu, cuda, cuda:N, wgpu or auto.
    cells : int
        Predicted profiles of each candidate.
    config : path, optional
        TOML file with options of the command, by their long names, and with the settings of a training.

    Returns
    -------
    Result
        What was found; ``output`` is where it was written.

    Examples
    --------
    >>> tl.perturb_reverse(adata, model="screen", candidates="all", output="found.json")  # doctest: +SKIP
    """
    given = dict(locals())
    words = _options(
        {
            "model": Option("--model"),
            "candidates": Option("--candidates"),
            "pairs": Option("--pairs", is_bare=True),
            "predicted": Option("--predicted"),
            "group_key": Option("--group-key"),
            "k": Option("--k"),
            "see_targets": Option("--see-targets", is_bare=True),
            "cell_type": Option("--cell-type"),
            "genes_per_pass": Option("--genes-per-pass"),
            "precision": Option("--precision"),
            "force": Option("--force", is_bare=True),
            "condition_key": Option("--condition-key"),
            "control": Option("--control"),
            "separator": Option("--separator"),
            "cell_type_key": Option("--cell-type-key"),
            "gene_column": Option("--gene-column"),
            "all_features": Option("--all-features", is_bare=True),
            "genes_as_they_are": Option("--genes-as-they-are", is_bare=True),
            "min_genes": Option("--min-genes"),
            "layer": Option("--layer"),
            "where": Option("--where"),
            "obs_from": Option("--obs-from"),
            "threads": Option("--threads"),
            "device": Option("--device"),
            "cells": Option("--cells"),
            "config": Option("--config"),
        },
        given,
    )
    return _call.to_folder(["perturb", "reverse"], {"": adata}, output, words, layer=layer)


def grn_embedding(
    adata: Cells | None = None,
    *,
    output: _Path,
    model: _Path | None = None,
    method: Literal["network", "pearson", "spearman", "partial", "trees", "best"] | None = None,
    contextual: bool = False,
    cosine: Literal["raw", "centred"] | None = None,
    fine_tune: bool = False,
    epochs: int | None = None,
    accumulate: int | None = None,
    new_genes: Literal["none", "random", "spectral"] | None = None,
    lora: int | None = None,
    plan: bool = False,
    per: str | None = None,
    genes: str | None = None,
    hvg: int | None = None,
    batch_key: str | None = None,
    threshold: float | None = None,
    neighbours: int = _default(15),
    resolution: float = _default(2),
    least_genes: int = _default(5),
    gmt: _Path | Sequence[_Path] | Mapping[str, Any] | None = None,
    background: str = _default("network"),
    gene: str | Sequence[str] | Mapping[str, Any] | None = None,
    similar: int = _default(20),
    no_baselines: bool = False,
    max_cells: int = _default(1000),
    edges: int = _default(100000),
    max_length: int | None = None,
    seed: int = _default(0),
    no_cells: bool = False,
    batch_size: int = _default(8),
    precision: Literal["exact", "bf16x3", "bf16"] = _default("exact"),
    threads: int | None = None,
    device: str = _default("auto"),
    gene_column: str | None = None,
    all_features: bool = False,
    genes_as_they_are: bool = False,
    min_genes: float | None = None,
    layer: str | None = None,
    where: str | None = None,
    obs_from: _Path | None = None,
    resume: bool = False,
    force: bool = False,
    config: _Path | None = None,
) -> Result:
    """Networks from gene embeddings: which genes are alike, and which form programmes?

    Compares the vectors of genes: those of the model's table, or (contextual) the mean state of a gene over the
    cells that express it. Writes a network of similar genes with p values and FDR of a null, one of nearest
    neighbours, programmes (Leiden communities), their gene sets, and their scores in cells and cell types; the
    report compares them with correlations and trees of the same genes' expression. For vectors that have seen
    the cells, fine_tune integrates their batches first; or give the artefact of `tl.integrate` as model.

    method takes one of these in place of vectors, in the same files and without a model: an edge is a pair of
    genes whose weight, whatever its sign, is large, without p values. best is what tells genes of the sets of
    gmt best.

    Parameters
    ----------
    adata : AnnData or path, optional
        File or folder of cells.
    output : path
        Folder to write: edge lists, programmes, report, a copy of the cells with vectors and scores, and in
        baselines/ the simpler networks.
    model : path, optional
        Model directory, or an artefact that is one; simple methods need none.
    method : {'network', 'pearson', 'spearman', 'partial', 'trees', 'best'}, optional
        What makes the networks: the model or a simple method without one [default: network].
    contextual : bool
        Take the mean state of a gene over the cells that express it, instead of its vector in the table.
    cosine : {'raw', 'centred'}, optional
        What cosines are of: vectors as they are, or without the mean of all genes [default: centred with
        contextual, else raw, as the reference].
    fine_tune : bool
        First fine-tune the model on the cells as `tl.integrate` does, whose artefact will be beside the
        folder, with .model; with contextual without normalisation by batch.
    epochs : int, optional
        Passes over the cells of fine_tune [default: that of integrate].
    accumulate : int, optional
        Batches of fine_tune whose gradients are added up for a step; several workers share them [default:
        1].
    new_genes : {'none', 'random', 'spectral'}, optional
        Genes that the model does not know, for fine_tune: left out (none), or added with vectors that are
        drawn (random) or mapped from their co-expression with known genes (spectral) [default: none].
    lora : int, optional
        Rank of adapters that learn in fine_tune instead of the model's weights, for less memory [default:
        all weights learn].
    plan : bool
        Tell what fine_tune will need, by a few of its steps, and leave nothing.
    per : str, optional
        Column of obs with cell types: scores, and with contextual vectors and networks, of each [default:
        for scores, one that looks like cell types].
    genes : str, optional
        Genes of the network: names joined by commas, or a file with one a line [default: the most variable
        ones, or all of the vocabulary without data].
    hvg : int, optional
        The N most variable genes are those of the network [default: 1200].
    batch_key : str, optional
        Column of obs with batches: genes variable within most of them, and what fine_tune mixes.
    threshold : float, optional
        Least cosine similarity of an edge, or weight by a simple method [default: 0.4; by a simple method
        what a thousand pairs reach].
    neighbours : int
        Genes of a neighbourhood, the gene itself included.
    resolution : float
        Resolution of programmes: the higher, the more and the smaller.
    least_genes : int
        Fewest genes of a programme.
    gmt : path or Sequence[path] or Mapping[str, Any], optional
        File of gene sets (GMT) that programmes are tested for; again for another.
    background : str
        What they are compared with: the genes of the network, all of the data that the model knows, or a
        number of genes.
    gene : str or Sequence[str] or Mapping[str, Any], optional
        Gene whose most similar ones are listed, in the network however little it varies; again for another.
    similar : int
        How many similar genes are listed.
    no_baselines : bool
        Make no simpler networks to compare with: correlations and, of at most 2000 genes, partial
        correlations and trees of expression; they take minutes.
    max_cells : int
        Make them of that many cells at most, chosen at random.
    edges : int
        Strongest edges written of each of them; 0 for all.
    max_length : int, optional
        Most tokens per cell [default: the model's].
    seed : int
        Seed of every random choice.
    no_cells : bool
        Write no copy of the cells.
    batch_size : int
        Cells computed at once; affects speed and memory only.
    precision : {'exact', 'bf16x3', 'bf16'}
        Numbers that cells are computed in; bf16 is faster where the processor has tiles of it.
    threads : int, optional
        CPU threads [default: all].
    device : str
        Where to compute: cpu, cuda, cuda:N, wgpu or auto.
    gene_column : str, optional
        Column of var with gene names, or index [default: the one with most known genes].
    all_features : bool
        Take features that var/feature_types calls antibodies, peaks or guides for genes, too.
    genes_as_they_are : bool
        Know genes by the names of the model alone, not by ids of Ensembl, previous symbols, aliases,
        orthologs in the mouse or in other case.
    min_genes : float, optional
        Least share of genes that have to be known, 0 for none [default: a tenth of the file's or of the
        vocabulary's, and a twentieth of what the model sees of a cell; half of those of the artefact of an
        integration].
    layer : str
        Matrix to read: X, raw, or the name of a layer.
    where : str, optional
        Read the cells for which this is true of their columns of obs and no others, in SQL, such as "tissue
        = 'blood' AND n_genes > 500".
    obs_from : path, optional
        Table (csv, tsv or parquet) whose columns join obs, by the column that has the names of cells.
    resume : bool
        Go on with a run of fine_tune that was ended before everything was written.
    force : bool
        Replace a folder of an earlier run.
    config : path, optional
        TOML file with options of the command, by their long names, and with the settings of a training.

    Returns
    -------
    Result
        What was found; ``output`` is where it was written.

    Examples
    --------
    >>> tl.grn_embedding(adata, model="scGPT_human", output="network").table("edges")  # doctest: +SKIP
    """
    given = dict(locals())
    words = _options(
        {
            "model": Option("--model"),
            "method": Option("--method"),
            "contextual": Option("--contextual", is_bare=True),
            "cosine": Option("--cosine"),
            "fine_tune": Option("--fine-tune", is_bare=True),
            "epochs": Option("--epochs"),
            "accumulate": Option("--accumulate"),
            "new_genes": Option("--new-genes"),
            "lora": Option("--lora"),
            "plan": Option("--plan", is_bare=True),
            "per": Option("--per"),
            "genes": Option("--genes"),
            "hvg": Option("--hvg"),
            "batch_key": Option("--batch-key"),
            "threshold": Option("--threshold"),
            "neighbours": Option("--neighbours"),
            "resolution": Option("--resolution"),
            "least_genes": Option("--least-genes"),
            "gmt": Option("--gmt"),
            "background": Option("--background"),
            "gene": Option("--gene"),
            "similar": Option("--similar"),
            "no_baselines": Option("--no-baselines", is_bare=True),
            "max_cells": Option("--max-cells"),
            "edges": Option("--edges"),
            "max_length": Option("--max-length"),
            "seed": Option("--seed"),
            "no_cells": Option("--no-cells", is_bare=True),
            "batch_size": Option("--batch-size"),
            "precision": Option("--precision"),
            "threads": Option("--threads"),
            "device": Option("--device"),
            "gene_column": Option("--gene-column"),
            "all_features": Option("--all-features", is_bare=True),
            "genes_as_they_are": Option("--genes-as-they-are", is_bare=True),
            "min_genes": Option("--min-genes"),
            "layer": Option("--layer"),
            "where": Option("--where"),
            "obs_from": Option("--obs-from"),
            "resume": Option("--resume", is_bare=True),
            "force": Option("--force", is_bare=True),
            "config": Option("--config"),
        },
        given,
    )
    return _call.to_folder(
        ["grn", "embedding"], {"--data": adata}, output, words, layer=layer, renamed={"data": "adata"}, whole=True
    )


def grn_attention(
    adata: Cells,
    *,
    output: _Path,
    model: _Path | None = None,
    method: Literal["network", "pearson", "spearman", "partial", "trees", "best"] | None = None,
    condition: str | None = None,
    control: str | None = None,
    group: str | None = None,
    gene: str | Sequence[str] | Mapping[str, Any] | None = None,
    attention_layer: str = _default("last"),
    hvg: int = _default(1200),
    max_cells: int = _default(500),
    permutations: int = _default(20),
    truth: _Path | None = None,
    gmt: _Path | Sequence[_Path] | Mapping[str, Any] | None = None,
    edges: int = _default(100000),
    format: Literal["csv", "parquet"] = _default("csv"),
    no_baselines: bool = False,
    seed: int = _default(0),
    precision: Literal["exact", "bf16x3", "bf16"] = _default("exact"),
    threads: int | None = None,
    device: str = _default("auto"),
    gene_column: str | None = None,
    all_features: bool = False,
    genes_as_they_are: bool = False,
    min_genes: float | None = None,
    layer: str | None = None,
    where: str | None = None,
    obs_from: _Path | None = None,
    force: bool = False,
    batch_size: int = _default(2),
    config: _Path | None = None,
) -> Result:
    """Networks from attention: which genes does a gene look at, and does that change?

    Scores of attention (rows are queries, the genes that look; columns are keys, the genes that are looked at)
    become ranks in each row, then in each column, averaged over heads and cells. An edge goes from the key to
    the query: the targets of a gene are its column. Two groups give three networks: control, perturbed, and
    their difference with p values from permuted labels; a single group is compared with copies of its cells
    whose values are shuffled. Simpler networks of the same genes and cells are made beside them, and the report
    says which is to be trusted more.

    method takes one of these in place of attention, in the same files and without a model; there are no p
    values then, and of a single group one network. best is what finds the known regulations of truth best.

    Parameters
    ----------
    adata : AnnData or path
        Cells in memory, or a file or folder of them.
    output : path
        Folder to write: edge lists, targets, enrichment, report, and in baselines/ the simpler networks.
    model : path, optional
        Model directory, or an artefact that is one; simple methods need none.
    method : {'network', 'pearson', 'spearman', 'partial', 'trees', 'best'}, optional
        What makes the networks: the model or a simple method without one [default: network].
    condition : str, optional
        Column of obs with groups of cells: conditions, cell types, disease… [default: one group].
    control : str, optional
        The group that others are compared with.
    group : str, optional
        The other group [default: that in which gene is perturbed alone, else all others].
    gene : str or Sequence[str] or Mapping[str, Any], optional
        Gene whose targets are asked for; again for another.
    attention_layer : str
        Layer of the network, counted from 0: a number, or last.
    hvg : int
        Look at the N most variable genes and those asked for, the same in all cells.
    max_cells : int
        Look at that many cells of a group at most, chosen at random.
    permutations : int
        Permutations for p values; 0 for none.
    truth : path, optional
        Known regulations to judge all networks by: an edge list from regulators to targets.
    gmt : path or Sequence[path] or Mapping[str, Any], optional
        File of gene sets that lists of targets are tested for; again for another.
    edges : int
        Strongest edges written of each network; 0 for all.
    format : {'csv', 'parquet'}
        Format of the edge lists.
    no_baselines : bool
        Make no simpler networks to compare with: correlations and trees of expression, gene embeddings.
    seed : int
        Seed of every random choice.
    precision : {'exact', 'bf16x3', 'bf16'}
        Numbers that cells are computed in; bf16 is faster where the processor has tiles of it.
    threads : int, optional
        CPU threads [default: all].
    device : str
        Where to compute: cpu, cuda, cuda:N, wgpu or auto.
    gene_column : str, optional
        Column of var with gene names, or index [default: the one with most known genes].
    all_features : bool
        Take features that var/feature_types calls antibodies, peaks or guides for genes, too.
    genes_as_they_are : bool
        Know genes by the names of the model alone, not by ids of Ensembl, previous symbols, aliases,
        orthologs in the mouse or in other case.
    min_genes : float, optional
        Least share of genes that have to be known, 0 for none [default: a tenth of the file's or of the
        vocabulary's, and a twentieth of what the model sees of a cell; half of those of the artefact of an
        integration].
    layer : str
        Matrix to read: X, raw, or the name of a layer.
    where : str, optional
        Read the cells for which this is true of their columns of obs and no others, in SQL, such as "tissue
        = 'blood' AND n_genes > 500".
    obs_from : path, optional
        Table (csv, tsv or parquet) whose columns join obs, by the column that has the names of cells.
    force : bool
        Replace a folder of an earlier run.
    batch_size : int
        Cells computed at once; affects speed and memory only.
    config : path, optional
        TOML file with options of the command, by their long names, and with the settings of a training.

    Returns
    -------
    Result
        What was found; ``output`` is where it was written.

    Examples
    --------
    >>> tl.grn_attention(adata, model="scGPT_human", condition="stim", control="ctrl", gene="STAT1", output="stat1")  # doctest: +SKIP
    """
    given = dict(locals())
    words = _options(
        {
            "model": Option("--model"),
            "method": Option("--method"),
            "condition": Option("--condition"),
            "control": Option("--control"),
            "group": Option("--group"),
            "gene": Option("--gene"),
            "attention_layer": Option("--attention-layer"),
            "hvg": Option("--hvg"),
            "max_cells": Option("--max-cells"),
            "permutations": Option("--permutations"),
            "truth": Option("--truth"),
            "gmt": Option("--gmt"),
            "edges": Option("--edges"),
            "format": Option("--format"),
            "no_baselines": Option("--no-baselines", is_bare=True),
            "seed": Option("--seed"),
            "precision": Option("--precision"),
            "threads": Option("--threads"),
            "device": Option("--device"),
            "gene_column": Option("--gene-column"),
            "all_features": Option("--all-features", is_bare=True),
            "genes_as_they_are": Option("--genes-as-they-are", is_bare=True),
            "min_genes": Option("--min-genes"),
            "layer": Option("--layer"),
            "where": Option("--where"),
            "obs_from": Option("--obs-from"),
            "force": Option("--force", is_bare=True),
            "batch_size": Option("--batch-size"),
            "config": Option("--config"),
        },
        given,
    )
    return _call.to_folder(["grn", "attention"], {"": adata}, output, words, layer=layer)


def generate(
    adata: Cells,
    *,
    model: _Path,
    hide: float = _default(0.5),
    genes: _Path | None = None,
    from_embedding: str | None = None,
    rounds: int = _default(4),
    confidence: Literal["dropout", "agreement", "random", "largest"] = _default("dropout"),
    samples: int = _default(4),
    max_length: int | None = None,
    seed: int = _default(0),
    batch_size: int = _default(8),
    precision: Literal["exact", "bf16x3", "bf16"] = _default("exact"),
    threads: int | None = None,
    device: str = _default("auto"),
    gene_column: str | None = None,
    all_features: bool = False,
    genes_as_they_are: bool = False,
    min_genes: float | None = None,
    layer: str | None = None,
    where: str | None = None,
    obs_from: _Path | None = None,
    color: str | Sequence[str] | Mapping[str, Any] | None = None,
    config: _Path | None = None,
    report: bool = False,
    copy: bool = False,
) -> Any:
    """Generate expression: hidden genes, missing genes, or cells from embeddings.

    Without genes, a share of each cell's expressed genes is hidden and generated from the others, beside simple
    guesses: a test of the model. With genes, these are generated for every cell from its other genes, or with
    from_embedding from its embedding alone, as value bins in obsm/X_scgpt_generated; uns/scgpt_generated/genes
    names the columns.

    Parameters
    ----------
    adata : AnnData or path
        Cells in memory, or a file or folder of them.
    model : path
        Model directory, of a generatively pre-trained model.
    hide : float
        Share of each cell's expressed genes to hide.
    genes : path, optional
        Text file with one gene per line: generate these.
    from_embedding : str, optional
        Start from cell embeddings: a name in obsm, or `own` for those the model makes.
    rounds : int
        Rounds; in each, an equal part of the genes becomes known.
    confidence : {'dropout', 'agreement', 'random', 'largest'}
        Which genes become known first.
    samples : int
        Passes of confidence dropout.
    max_length : int, optional
        Most tokens per cell [default: the model's].
    seed : int
        Seed of every random choice.
    batch_size : int
        Cells computed at once; affects speed and memory only.
    precision : {'exact', 'bf16x3', 'bf16'}
        Numbers that cells are computed in; bf16 is faster where the processor has tiles of it.
    threads : int, optional
        CPU threads [default: all].
    device : str
        Where to compute: cpu, cuda, cuda:N, wgpu or auto.
    gene_column : str, optional
        Column of var with gene names, or index [default: the one with most known genes].
    all_features : bool
        Take features that var/feature_types calls antibodies, peaks or guides for genes, too.
    genes_as_they_are : bool
        Know genes by the names of the model alone, not by ids of Ensembl, previous symbols, aliases,
        orthologs in the mouse or in other case.
    min_genes : float, optional
        Least share of genes that have to be known, 0 for none [default: a tenth of the file's or of the
        vocabulary's, and a twentieth of what the model sees of a cell; half of those of the artefact of an
        integration].
    layer : str
        Matrix to read: X, raw, or the name of a layer.
    where : str, optional
        Read the cells for which this is true of their columns of obs and no others, in SQL, such as "tissue
        = 'blood' AND n_genes > 500".
    obs_from : path, optional
        Table (csv, tsv or parquet) whose columns join obs, by the column that has the names of cells.
    color : str or Sequence[str] or Mapping[str, Any], optional
        Column of obs, or gene, that colours the map; given again, another one is in its menu [default: what
        the command found, or a column that looks like cell types].
    config : path, optional
        TOML file with options of the command, by their long names, and with the settings of a training.
    report : bool
        Make the page, too, and return it with the result.
    copy : bool
        Return a copy of the cells, and leave these as they are.

    Returns
    -------
    None, AnnData or Result
        The cells if ``copy`` is set or they are read from a file, the result if ``report`` is, else nothing.

    Examples
    --------
    >>> tl.generate(adata, model="run/model")  # doctest: +SKIP
    """
    given = dict(locals())
    words = _options(
        {
            "model": Option("--model"),
            "hide": Option("--hide"),
            "genes": Option("--genes"),
            "from_embedding": Option("--from-embedding"),
            "rounds": Option("--rounds"),
            "confidence": Option("--confidence"),
            "samples": Option("--samples"),
            "max_length": Option("--max-length"),
            "seed": Option("--seed"),
            "batch_size": Option("--batch-size"),
            "precision": Option("--precision"),
            "threads": Option("--threads"),
            "device": Option("--device"),
            "gene_column": Option("--gene-column"),
            "all_features": Option("--all-features", is_bare=True),
            "genes_as_they_are": Option("--genes-as-they-are", is_bare=True),
            "min_genes": Option("--min-genes"),
            "layer": Option("--layer"),
            "where": Option("--where"),
            "obs_from": Option("--obs-from"),
            "color": Option("--color"),
            "config": Option("--config"),
        },
        given,
    )
    return _call.on_cells(
        ["generate"],
        adata,
        words,
        record=_record("generate", given),
        layer=layer,
        report=report,
        copy=copy,
        can_report=True,
    )


def pretrain(
    *,
    output: _Path,
    data: _Path | None = None,
    preset: Literal["laptop", "paper"] = _default("laptop"),
    max_length: int | None = None,
    where: str | None = None,
    cells: int | None = None,
    balance: str | None = None,
    shuffle_window: int | None = None,
    class_column: str | None = None,
    select_by: str | None = None,
    keep: int = _default(2),
    epochs: int | None = None,
    max_steps: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    accumulate: int | None = None,
    gather_cells: bool = False,
    precision: str | None = None,
    lora: int | None = None,
    recompute: bool | None = None,
    seed: int | None = None,
    checkpoint_every: int = _default(200),
    plan: bool = False,
    resume: bool = False,
    force: bool = False,
    threads: int | None = None,
    device: str = _default("auto"),
    model: _Path | None = None,
    new_genes: Literal["none", "random", "spectral"] | None = None,
    config: _Path | None = None,
) -> Result:
    """Pre-train a model on token shards: known genes, unknown genes, cell prompts.

    Writes a folder: `model/` (the best network by validation, with its card), `checkpoints/`, `config.toml`
    (the settings in force), `log.jsonl` and TensorBoard event files, and a page with the loss curves. Stopped
    by Ctrl-C or killed, the run goes on with resume as if nothing had happened.

    Parameters
    ----------
    output : path
        Folder of the run.
    data : path, optional
        Folder of token shards, made by `tl.convert`; of one at a URL (https://, s3://) a copy is kept in
        SCGPT_CACHE.
    preset : {'laptop', 'paper'}
        Settings to start from; config and flags change them.
    max_length : int, optional
        Most tokens per cell.
    where : str, optional
        Learn from the cells for which this is true of the columns that the shards keep, in SQL, such as
        "tissue = 'blood' AND assay <> 'Drop-seq'".
    cells : int, optional
        Learn from that many of the cells, drawn by the seed; a smaller number draws from among them.
    balance : str, optional
        Label column of the shards whose labels all come as often, however many cells they have.
    shuffle_window : int, optional
        Shuffle about that many cells together, in runs of 1024 neighbours, not all: for shards that are
        larger than memory, or on a disk that is slow to seek [default: all].
    class_column : str, optional
        Learn the classes of this label column of the shards, too.
    select_by : str, optional
        What selects the network and ends the training: loss, the error of hidden genes; thinning, the share
        of cells that a random half of their counts finds again, by which the start is kept if nothing is
        better; or another metric of the validation [default: loss].
    keep : int
        Checkpoints kept, beside the best.
    epochs : int, optional
        Passes over the cells.
    max_steps : int, optional
        Stop after that many optimiser steps.
    batch_size : int, optional
        Cells per batch.
    lr : float, optional
        Learning rate.
    accumulate : int, optional
        Batches whose gradients are added up for a step; several workers share them [default: 1].
    gather_cells : bool
        Let objectives between cells (ECS, contrastive) see the cells of all batches of a step, not of one.
    precision : str, optional
        Numbers that passes multiply: f32; bf16 or bf16x3, faster on a CPU that has instructions for them,
        see `python -m scgpt_rs inspect --system`, and bf16 or f16 on a GPU [default: f32].
    lora : int, optional
        Rank of adapters that learn instead of the weights of model: less memory, and a file of a few MB
        beside the weights [default: all weights learn].
    recompute : bool, optional
        Keep no states inside blocks, which are computed again for their gradients: less memory for more
        time, and the same result [default: true with lora on a CPU, else false].
    seed : int, optional
        Seed of every random choice.
    checkpoint_every : int
        Optimiser steps between checkpoints, beside those at validations.
    plan : bool
        Tell what the training will need, by a few of its steps, and leave nothing: parameters, memory,
        speed and time, and what would need less memory.
    resume : bool
        Go on from the newest usable checkpoint, with the settings of the run.
    force : bool
        Begin anew in a folder that is in use.
    threads : int, optional
        CPU threads [default: all].
    device : str
        Where to compute: cpu, cuda, cuda:N, wgpu or auto.
    model : path, optional
        Model directory to continue from.
    new_genes : {'none', 'random', 'spectral'}, optional
        Genes of the shards that model does not know: none are allowed (none), or they join with vectors
        that are drawn (random) or mapped from their co-expression with genes that it knows (spectral)
        [default: none].
    config : path, optional
        TOML file with options of the command, by their long names, and with the settings of a training.

    Returns
    -------
    Result
        What was found; ``output`` is where it was written.

    Examples
    --------
    >>> tl.pretrain(data="shards", output="run")  # doctest: +SKIP
    """
    given = dict(locals())
    words = _options(
        {
            "data": Option("--data"),
            "preset": Option("--preset"),
            "max_length": Option("--max-length"),
            "where": Option("--where"),
            "cells": Option("--cells"),
            "balance": Option("--balance"),
            "shuffle_window": Option("--shuffle-window"),
            "class_column": Option("--class-column"),
            "select_by": Option("--select-by"),
            "keep": Option("--keep"),
            "epochs": Option("--epochs"),
            "max_steps": Option("--max-steps"),
            "batch_size": Option("--batch-size"),
            "lr": Option("--lr"),
            "accumulate": Option("--accumulate"),
            "gather_cells": Option("--gather-cells", is_bare=True),
            "precision": Option("--precision"),
            "lora": Option("--lora"),
            "recompute": Option("--recompute"),
            "seed": Option("--seed"),
            "checkpoint_every": Option("--checkpoint-every"),
            "plan": Option("--plan", is_bare=True),
            "resume": Option("--resume", is_bare=True),
            "force": Option("--force", is_bare=True),
            "threads": Option("--threads"),
            "device": Option("--device"),
            "model": Option("--model"),
            "new_genes": Option("--new-genes"),
            "config": Option("--config"),
        },
        given,
    )
    return _call.to_folder(["pretrain"], {}, output, words)


def convert(
    adata: Cells,
    *,
    output: _Path,
    sample: str | Sequence[str] | Mapping[str, Any] | None = None,
    gene_column: str | None = None,
    all_features: bool = False,
    genes_as_they_are: bool = False,
    min_genes: float | None = None,
    layer: str | None = None,
    where: str | None = None,
    obs_from: _Path | None = None,
    partial: bool = False,
    force: bool = False,
    vocab: _Path | None = None,
    model: _Path | None = None,
    obs: str | Sequence[str] | Mapping[str, Any] | None = None,
    shard_cells: int = _default(50000),
    config: _Path | None = None,
) -> Result:
    """Convert cells to token shards for training or to h5ad, or a checkpoint or adapters to safetensors.

    Cells (h5ad, AnnData-zarr, 10x, scBank) become a folder of memory-mapped Arrow files with the gene tokens
    and values of every cell, its vocabulary and a manifest. With an output in .h5ad or .zarr they become one
    file of cells. Of a checkpoint all tensors are kept, those of task heads too, under the reference's names; a
    directory is checked against its configuration first; nothing inside a `.pt` file is executed. Adapters, as
    lora writes them, and the model they were made from become the weights that were published with them, bit
    for bit. What an input is, is found by content.

    Parameters
    ----------
    adata : AnnData or path
        Cells in memory, or a file or folder of them.
    output : path
        Directory to write, or a `.h5ad`, `.zarr` or `.safetensors` file.
    sample : str or Sequence[str] or Mapping[str, Any], optional
        The sample of each input, in their order, such as lane1,lane2: the cell AAAC-1 becomes AAAC-1-lane1,
        and the column sample of obs has the names.
    gene_column : str, optional
        Column of var with gene names, or index [default: the one with most known genes].
    all_features : bool
        Take features that var/feature_types calls antibodies, peaks or guides for genes, too.
    genes_as_they_are : bool
        Know genes by the names of the model alone, not by ids of Ensembl, previous symbols, aliases,
        orthologs in the mouse or in other case.
    min_genes : float, optional
        Least share of genes that have to be known, 0 for none [default: a tenth of the file's or of the
        vocabulary's, and a twentieth of what the model sees of a cell; half of those of the artefact of an
        integration].
    layer : str
        Matrix to read: X, raw, or the name of a layer.
    where : str, optional
        Read the cells for which this is true of their columns of obs and no others, in SQL, such as "tissue
        = 'blood' AND n_genes > 500".
    obs_from : path, optional
        Table (csv, tsv or parquet) whose columns join obs, by the column that has the names of cells.
    partial : bool
        Checkpoint: accept weights that do not fit the configuration.
    force : bool
        Overwrite the output.
    vocab : path, optional
        Cells: vocabulary of the gene tokens [default: the model's, else all genes of the data].
    model : path, optional
        Cells: model directory whose vocabulary is used. Adapters: the one that they were made from.
    obs : str or Sequence[str] or Mapping[str, Any], optional
        Cells: columns of obs to keep as labels, for example cell_type,batch.
    shard_cells : int
        Cells: most cells per file.
    config : path, optional
        TOML file with options of the command, by their long names, and with the settings of a training.

    Returns
    -------
    Result
        What was found; ``output`` is where it was written.

    Examples
    --------
    >>> tl.convert(adata, output="shards")  # doctest: +SKIP
    """
    given = dict(locals())
    words = _options(
        {
            "sample": Option("--sample", delimiter=","),
            "gene_column": Option("--gene-column"),
            "all_features": Option("--all-features", is_bare=True),
            "genes_as_they_are": Option("--genes-as-they-are", is_bare=True),
            "min_genes": Option("--min-genes"),
            "layer": Option("--layer"),
            "where": Option("--where"),
            "obs_from": Option("--obs-from"),
            "partial": Option("--partial", is_bare=True),
            "force": Option("--force", is_bare=True),
            "vocab": Option("--vocab"),
            "model": Option("--model"),
            "obs": Option("--obs", delimiter=","),
            "shard_cells": Option("--shard-cells"),
            "config": Option("--config"),
        },
        given,
    )
    return _call.to_folder(["convert"], {"": adata}, output, words, layer=layer, whole=True)


def evaluate_labels(
    adata: Cells,
    *,
    truth: str,
    prediction: str,
    confidence: str | None = None,
    sets: str | None = None,
    unknown: str | None = None,
    strangeness: str | None = None,
    unseen: str | Sequence[str] | Mapping[str, Any] | None = None,
    embedding: str | None = None,
    where: str | None = None,
    obs_from: _Path | None = None,
    output: _Path | None = None,
    force: bool = False,
    color: str | Sequence[str] | Mapping[str, Any] | None = None,
    seed: int = _default(0),
    config: _Path | None = None,
) -> Result:
    """Predicted labels against true ones.

    Reads columns of obs; cells without a true label are left out. Cells of labels that were absent from the
    reference count as wrong, unless unseen names these labels: their cells can only be found unknown, and are
    judged by that alone.

    Parameters
    ----------
    adata : AnnData or path
        Cells in memory, or a file or folder of them.
    truth : str
        Column of obs with the true labels.
    prediction : str
        Column of obs with the predicted labels.
    confidence : str, optional
        Column of obs with confidences, 0 to 1.
    sets : str, optional
        Column of obs with plausible labels, joined by `;` (labels with a `;` in quotes).
    unknown : str, optional
        Column of obs that says which cells were called unknown.
    strangeness : str, optional
        Column of obs that says how unlike all labels cells are, larger for stranger ones.
    unseen : str or Sequence[str] or Mapping[str, Any], optional
        Label that could not be predicted; may be given several times.
    embedding : str, optional
        Name in obsm by which cells are drawn on the page [default: X_scGPT, if it is there].
    where : str, optional
        Read the cells for which this is true of their columns of obs and no others, in SQL, such as "tissue
        = 'blood' AND n_genes > 500".
    obs_from : path, optional
        Table (csv, tsv or parquet) whose columns join obs, by the column that has the names of cells.
    output : path, optional
        Page to write.
    force : bool
        Overwrite the page.
    color : str or Sequence[str] or Mapping[str, Any], optional
        Column of obs, or gene, that colours the map; given again, another one is in its menu [default: what
        the command found, or a column that looks like cell types].
    seed : int
        Seed of the intervals.
    config : path, optional
        TOML file with options of the command, by their long names, and with the settings of a training.

    Returns
    -------
    Result
        What was found.

    Examples
    --------
    >>> tl.evaluate_labels(adata, truth="cell_type", prediction="scgpt_prediction")  # doctest: +SKIP
    """
    given = dict(locals())
    words = _options(
        {
            "truth": Option("--truth"),
            "prediction": Option("--prediction"),
            "confidence": Option("--confidence"),
            "sets": Option("--sets"),
            "unknown": Option("--unknown"),
            "strangeness": Option("--strangeness"),
            "unseen": Option("--unseen"),
            "embedding": Option("--embedding"),
            "where": Option("--where"),
            "obs_from": Option("--obs-from"),
            "force": Option("--force", is_bare=True),
            "color": Option("--color"),
            "seed": Option("--seed"),
            "config": Option("--config"),
        },
        given,
    )
    return _call.to_folder(["evaluate", "labels"], {"": adata}, output, words)


def evaluate_integration(
    adata: Cells,
    *,
    embedding: str | Sequence[str] | Mapping[str, Any],
    batch_key: str,
    label: str,
    clustering: Literal["leiden", "louvain"] = _default("leiden"),
    max_cells: int = _default(100000),
    no_baselines: bool = False,
    layer: str | None = None,
    hvg: int = _default(2000),
    where: str | None = None,
    obs_from: _Path | None = None,
    output: _Path | None = None,
    force: bool = False,
    color: str | Sequence[str] | Mapping[str, Any] | None = None,
    seed: int = _default(0),
    config: _Path | None = None,
) -> Result:
    """Embeddings of several batches: are labels kept, and batches mixed?

    Reads embeddings from obsm, of any tool, and scores them as scib does, beside the unintegrated cells,
    variable genes, Harmony and ComBat; of several modalities, beside PCA of genes, LSI of peaks, weighted
    nearest neighbours and Harmony. Cells without a label or batch are left out.

    Parameters
    ----------
    adata : AnnData or path
        Cells in memory, or a file or folder of them.
    embedding : str or Sequence[str] or Mapping[str, Any]
        Names in obsm.
    batch_key : str
        Column of obs with experimental batches.
    label : str
        Column of obs with cell types or other labels to be kept.
    clustering : {'leiden', 'louvain'}
        How cells are clustered: leiden as scib does now, louvain as for the published scores.
    max_cells : int
        Most cells that are scored; of more, a sample is scored.
    no_baselines : bool
        Do not compare with simple methods.
    layer : str
        Matrix that simple methods read: X, raw, or the name of a layer.
    hvg : int
        Variable genes of simple methods.
    where : str, optional
        Read the cells for which this is true of their columns of obs and no others, in SQL, such as "tissue
        = 'blood' AND n_genes > 500".
    obs_from : path, optional
        Table (csv, tsv or parquet) whose columns join obs, by the column that has the names of cells.
    output : path, optional
        Page to write.
    force : bool
        Overwrite the page.
    color : str or Sequence[str] or Mapping[str, Any], optional
        Column of obs, or gene, that colours the map; given again, another one is in its menu [default: what
        the command found, or a column that looks like cell types].
    seed : int
        Seed of every random choice.
    config : path, optional
        TOML file with options of the command, by their long names, and with the settings of a training.

    Returns
    -------
    Result
        What was found.

    Examples
    --------
    >>> tl.evaluate_integration(adata, embedding=["X_scGPT"], batch_key="batch", label="cell_type")  # doctest: +SKIP
    """
    given = dict(locals())
    words = _options(
        {
            "embedding": Option("--embedding", delimiter=","),
            "batch_key": Option("--batch-key"),
            "label": Option("--label"),
            "clustering": Option("--clustering"),
            "max_cells": Option("--max-cells"),
            "no_baselines": Option("--no-baselines", is_bare=True),
            "layer": Option("--layer"),
            "hvg": Option("--hvg"),
            "where": Option("--where"),
            "obs_from": Option("--obs-from"),
            "force": Option("--force", is_bare=True),
            "color": Option("--color"),
            "seed": Option("--seed"),
            "config": Option("--config"),
        },
        given,
    )
    return _call.to_folder(["evaluate", "integration"], {"": adata}, output, words, layer=layer)


def evaluate_perturb(
    predicted: Cells,
    truth: Cells,
    *,
    split_file: _Path | None = None,
    no_baselines: bool = False,
    output: _Path | None = None,
    force: bool = False,
    seed: int = _default(0),
    condition_key: str = _default("condition"),
    control: str = _default("ctrl"),
    separator: str = _default("+"),
    cell_type_key: str | None = None,
    gene_column: str | None = None,
    all_features: bool = False,
    genes_as_they_are: bool = False,
    min_genes: float | None = None,
    layer: str | None = None,
    where: str | None = None,
    obs_from: _Path | None = None,
    config: _Path | None = None,
) -> Result:
    """Predicted responses to perturbations against true ones.

    Compares the mean predicted cell of every condition with the mean true one, over the genes that both files
    have, beside simple methods. Conditions that are not predicted count as known in training, unless split_file
    says which are; those are not judged.

    Parameters
    ----------
    predicted : AnnData or path
        Cells in memory, or a file or folder of them.
    truth : AnnData or path
        File of true cells, log1p values, controls among them.
    split_file : path, optional
        Saved split whose training conditions simple methods learn from.
    no_baselines : bool
        Do not compare with simple methods.
    output : path, optional
        Page to write.
    force : bool
        Overwrite the page.
    seed : int
        Seed of the intervals.
    condition_key : str
        Column of obs with the conditions.
    control : str
        Name of the control, besides ctrl.
    separator : str
        What stands between the genes of a condition.
    cell_type_key : str, optional
        Column of obs with cell types, each compared with controls of its own.
    gene_column : str, optional
        Column of var with gene names, or index [default: the one with most known genes].
    all_features : bool
        Take features that var/feature_types calls antibodies, peaks or guides for genes, too.
    genes_as_they_are : bool
        Know genes by the names of the model alone, not by ids of Ensembl, previous symbols, aliases,
        orthologs in the mouse or in other case.
    min_genes : float, optional
        Least share of genes that have to be known, 0 for none [default: a tenth of the file's or of the
        vocabulary's, and a twentieth of what the model sees of a cell; half of those of the artefact of an
        integration].
    layer : str
        Matrix to read: X, raw, or the name of a layer.
    where : str, optional
        Read the cells for which this is true of their columns of obs and no others, in SQL, such as "tissue
        = 'blood' AND n_genes > 500".
    obs_from : path, optional
        Table (csv, tsv or parquet) whose columns join obs, by the column that has the names of cells.
    config : path, optional
        TOML file with options of the command, by their long names, and with the settings of a training.

    Returns
    -------
    Result
        What was found.

    Examples
    --------
    >>> tl.evaluate_perturb(predicted, truth=screen)  # doctest: +SKIP
    """
    given = dict(locals())
    words = _options(
        {
            "split_file": Option("--split-file"),
            "no_baselines": Option("--no-baselines", is_bare=True),
            "force": Option("--force", is_bare=True),
            "seed": Option("--seed"),
            "condition_key": Option("--condition-key"),
            "control": Option("--control"),
            "separator": Option("--separator"),
            "cell_type_key": Option("--cell-type-key"),
            "gene_column": Option("--gene-column"),
            "all_features": Option("--all-features", is_bare=True),
            "genes_as_they_are": Option("--genes-as-they-are", is_bare=True),
            "min_genes": Option("--min-genes"),
            "layer": Option("--layer"),
            "where": Option("--where"),
            "obs_from": Option("--obs-from"),
            "config": Option("--config"),
        },
        given,
    )
    return _call.to_folder(
        ["evaluate", "perturb"],
        {"": predicted, "--truth": truth},
        output,
        words,
        layer=layer,
        renamed={"": "predicted"},
    )


def evaluate_grn(
    *,
    edges: _Path,
    truth: _Path,
    genes: _Path | None = None,
    undirected: bool = False,
    output: _Path | None = None,
    force: bool = False,
    config: _Path | None = None,
) -> Result:
    """A gene network against known regulations.

    Edge lists of any tool are read (csv, tsv, parquet): source, target and weight by their usual names.
    Candidates are the pairs of a regulator of the truth and another of its genes, among the genes that both
    have; edges are ranked by the size of their weight, and those that are not listed come last. The table that
    `tl.simulate(perturb=…)` writes is a truth with direction and sign.

    Parameters
    ----------
    edges : path
        Edge list to judge.
    truth : path
        Edge list of known regulations, from regulators to targets.
    genes : path, optional
        File with a gene a line: those that edges could have been between [default: those listed].
    undirected : bool
        Edges count in both directions.
    output : path, optional
        Page to write.
    force : bool
        Overwrite the page.
    config : path, optional
        TOML file with options of the command, by their long names, and with the settings of a training.

    Returns
    -------
    Result
        What was found.

    Examples
    --------
    >>> tl.evaluate_grn(edges="network/edges.csv", truth="known.csv")  # doctest: +SKIP
    """
    given = dict(locals())
    words = _options(
        {
            "edges": Option(""),
            "truth": Option("--truth"),
            "genes": Option("--genes"),
            "undirected": Option("--undirected", is_bare=True),
            "force": Option("--force", is_bare=True),
            "config": Option("--config"),
        },
        given,
    )
    return _call.to_folder(["evaluate", "grn"], {}, output, words, renamed={"input": "edges"})


def simulate(
    *,
    force: bool = False,
    cells: int = _default(2000),
    genes: int = _default(2000),
    types: int = _default(5),
    batches: int = _default(2),
    tissues: int | None = None,
    programmes: int = _default(0),
    modalities: Literal["rna", "protein", "atac"] | Sequence[Literal["rna", "protein", "atac"]] | None = None,
    mosaic: bool = False,
    proteins: int = _default(50),
    peaks: int = _default(5000),
    perturb: int | None = None,
    doubles: int = _default(0),
    synergy: float = _default(0),
    over_express: bool = False,
    seed: int = _default(0),
    vocab: _Path | None = None,
    output: _Path | None = None,
    config: _Path | None = None,
) -> Any:
    """Simulate cells of known types and batches, or with perturbed genes.

    Counts are negative-binomial, with a marker programme per cell type and multiplicative batch effects, so the
    truth is known: obs/cell_type and obs/batch. With tissues, types are of several tissues, in which genes vary
    in programmes. With modalities, the same cells also as proteins and open chromatin, in one .h5mu file or,
    told apart by var/feature_types, in .h5ad; with mosaic, each batch has some of the modalities, and what was
    not measured is kept beside the output as truth. With perturb, cells of a sparse signed gene network in its
    steady state (the S-systems of Savageau 1969), in which genes are knocked down or over-expressed:
    obs/condition, obs/interacts for pairs that do more than the sum, and the network as a table beside the
    output.

    Parameters
    ----------
    force : bool
        Overwrite the output.
    cells : int
        Number of cells.
    genes : int
        Number of genes.
    types : int
        Number of cell types.
    batches : int
        Number of batches.
    tissues : int, optional
        Number of tissues: every type is of one, obs/tissue.
    programmes : int
        Number of programmes, sets of genes that vary together, of each tissue alone, and of all tissues.
    modalities : {'rna', 'protein', 'atac'} or Sequence[{'rna', 'protein', 'atac'}], optional
        Modalities to measure: rna, protein, atac.
    mosaic : bool
        Measure all modalities in the first batch only, and all but one in each further batch.
    proteins : int
        Number of proteins.
    peaks : int
        Number of peaks of open chromatin.
    perturb : int, optional
        Instead of types, perturb that many genes of a known network, each in cells of its own.
    doubles : int
        Also perturb that many pairs of these genes.
    synergy : float
        Share of the pairs of gene modules that, perturbed together, do more than the sum.
    over_express : bool
        Raise the genes instead of lowering them.
    seed : int
        Seed of every random choice.
    vocab : path, optional
        Vocabulary whose gene symbols are used.
    output : path, optional
        File to write: .h5ad, .h5mu for modalities, or .zarr for a folder.
    config : path, optional
        TOML file with options of the command, by their long names, and with the settings of a training.

    Returns
    -------
    AnnData or Path
        The cells, or the path of ``output`` if it is given.

    Examples
    --------
    >>> adata = tl.simulate(cells=500, types=4)  # doctest: +SKIP
    """
    given = dict(locals())
    words = _options(
        {
            "force": Option("--force", is_bare=True),
            "cells": Option("--cells"),
            "genes": Option("--genes"),
            "types": Option("--types"),
            "batches": Option("--batches"),
            "tissues": Option("--tissues"),
            "programmes": Option("--programmes"),
            "modalities": Option("--modalities", delimiter=","),
            "mosaic": Option("--mosaic", is_bare=True),
            "proteins": Option("--proteins"),
            "peaks": Option("--peaks"),
            "perturb": Option("--perturb"),
            "doubles": Option("--doubles"),
            "synergy": Option("--synergy"),
            "over_express": Option("--over-express", is_bare=True),
            "seed": Option("--seed"),
            "vocab": Option("--vocab"),
            "config": Option("--config"),
        },
        given,
    )
    return _call.new_cells(["simulate"], {}, output, words)
