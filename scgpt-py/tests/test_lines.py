"""Command lines that are said, as calls of functions."""

from __future__ import annotations

from html import unescape

import pytest

import scgpt_rs
from scgpt_rs import ScgptError, tl
from scgpt_rs._errors import as_python
from scgpt_rs._lines import as_call


@pytest.mark.parametrize(
    ("line", "call"),
    [
        ("scgpt embed", "tl.embed"),
        ("scgpt inspect cells.h5ad", "read.inspect('cells.h5ad')"),
        ("scgpt convert cells.h5ad -o shards/", "tl.convert('cells.h5ad', output='shards/')"),
        ("scgpt integrate adata -o adata --no-report --hvg=60 --json", "tl.integrate(adata, hvg=60)"),
        (
            "scgpt embed adata --leiden=1.0 --umap --color=a --color=b",
            "tl.embed(adata, leiden=1.0, umap=True, color=['a', 'b'])",
        ),
        ("scgpt embed --umap adata", "tl.embed(adata, umap=True)"),
        ("scgpt embed adata '--where=batch = 1'", "tl.embed(adata, where='batch = 1')"),
        ("scgpt annotate train adata --recompute=false", "tl.annotate_train(adata, recompute=False)"),
        ("scgpt embed adata --key=X_own", "tl.embed(adata, key_added='X_own')"),
        ("scgpt grn embedding --data=adata -o net", "tl.grn_embedding(adata, output='net')"),
        ("scgpt perturb predict -m screen --genes A,B", "tl.perturb_predict(model='screen', genes='A,B')"),
        ("scgpt evaluate perturb predicted --truth=truth", "tl.evaluate_perturb(predicted, truth=truth)"),
        ("scgpt simulate --perturb", "tl.simulate(perturb=…)"),
        # What no function does.
        ("scgpt embed cells.h5ad --part 1/4", "python -m scgpt_rs embed cells.h5ad --part 1/4"),
        ("scgpt models pull scGPT_human", "python -m scgpt_rs models pull scGPT_human"),
        ("scgpt embed what's", "python -m scgpt_rs embed what's"),
    ],
)
def test_a_line_is_the_call_that_does_the_same(line, call):
    assert as_call(line, {"key": "key_added", "data": "adata"}) == call


def test_messages_have_calls():
    said = "make them with `scgpt convert cells.h5ad -o shards/`, or `scgpt join`, and --max-length 3"
    expected = (
        "make them with `tl.convert('cells.h5ad', output='shards/')`, or `python -m scgpt_rs join`, and max_length 3"
    )
    assert as_python(said) == expected


def test_an_error_names_functions(adata, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ScgptError) as error:
        tl.annotate_predict(adata, model=tmp_path)
    assert "`tl.annotate_train`" in str(error.value) and "scgpt annotate" not in str(error.value)


def better(result: scgpt_rs.Result) -> str:
    """The call that a result says is better; its page says the same."""
    assert result["better"].startswith("scgpt_rs.tl.")
    assert result["better"] in unescape(result.report.html)
    assert "scgpt annotate train" not in result.report.html.partition("The better result")[2]
    return result["better"]


def test_what_is_better_is_a_call_that_works(adata, model, folder, tmp_path):
    (tmp_path / "drawn.toml").write_text('head = "drawn"\n')
    options = {"label": "cell_type", "config": tmp_path / "drawn.toml", "max_steps": 1, "test": 0.4}
    trained = tl.annotate_train(adata, model=model, output=tmp_path / "types", **options)
    call = better(trained)
    assert call.startswith(f"scgpt_rs.tl.annotate_train(adata, output='{tmp_path}/types-")
    again = eval(call, {"scgpt_rs": scgpt_rs, "adata": adata})
    assert again.output.name in call and (again.output / "method.json").is_file()


def test_cells_are_called_as_their_argument_is(adata):
    screen = tl.perturb_prepare(tl.simulate(cells=300, genes=60, perturb=4, seed=2), min_cells=5)
    with pytest.raises(ScgptError, match="`truth`: column `condition`"):
        tl.evaluate_perturb(screen, truth=adata)
    with pytest.raises(ScgptError, match="`predicted`") as error:
        tl.evaluate_perturb(adata, truth=screen)
    assert "adata" not in str(error.value)
