"""The command `report`, and the parts of its page that need no browser."""

import base64
import io
import json
import re
import shutil
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest
from fake_runs import make_runs
from report_pages import HOSTILE, LABELS, SOURCES, explorer_runs, item, make_page
from user_folder import user_folder  # noqa: F401 (a fixture)

from attn_research.cli import main
from attn_research.config import digest
from attn_research.reports.items import Item
from attn_research.reports.render import render_latex
from attn_research.sweeps.expand import load_experiment
from attn_research.web.explorer import SCALE, ExplorerRun, disagreement, explorer_data
from attn_research.web.tables import configs_view, split_code

STATIC = Path(__file__).parents[1] / "attn_research" / "web" / "static"


def write_outputs(items=3):
    """Writes outputs and weights into every run of small.py."""
    for config in load_experiment("small.py").runs:
        outputs = Path("runs") / digest(config) / "outputs"
        outputs.mkdir()
        chosen = [item(number, "dot") for number in range(items)]
        lines = [
            {"source": one.source, "references": one.references, "output": one.output, "alignment": one.alignment}
            for one in chosen
        ]
        (outputs / "test.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        archive = io.BytesIO()
        arrays = {str(number): one.weights for number, one in enumerate(chosen)}
        np.savez_compressed(archive, **arrays)
        (outputs / "attention.npz").write_bytes(archive.getvalue())


def data_of(html, name):
    return re.search(rf'<script type="[\w/]+" id="{name}">(.*?)</script>', html, re.DOTALL)[1]


def without_vega(html):
    return re.sub(r"<script nonce.*?</script>", "", html, count=1, flags=re.DOTALL)


def unpack(text):
    return zlib.decompress(base64.b64decode(text))


@pytest.mark.usefixtures("user_folder")
class TestCommand:
    def test_a_page_has_table_charts_and_maps(self, capsys):
        make_runs()
        write_outputs()
        assert main(["report", "small.py"]) == 0
        assert capsys.readouterr().out == "runs/reports/small.html\n"
        html = Path("runs/reports/small.html").read_text()
        assert "91.0" not in html and "90.1" in html  # the table's numbers
        assert list(json.loads(data_of(html, "page-data"))["charts"]) == ["training"]
        content = json.loads(unpack(data_of(html, "explorer-data")))
        assert [len(task["items"]) for task in content["tasks"]] == [3]
        assert len(content["tasks"][0]["runs"]) == 6
        assert "need the outputs of the runs" not in html

    def test_equal_records_give_equal_pages(self):
        make_runs()
        for name in ("a.html", "b.html"):
            main(["report", "small.py", "--out", name])
        assert Path("a.html").read_bytes() == Path("b.html").read_bytes()

    def test_items_limits_the_explorer(self):
        make_runs()
        write_outputs()
        main(["report", "small.py", "--items", "2", "--out", "page.html"])
        content = json.loads(unpack(data_of(Path("page.html").read_text(), "explorer-data")))
        assert len(content["tasks"][0]["items"]) == 2

    def test_committed_records_are_enough(self):
        make_runs()
        main(["table", "small.py", "--save"])
        shutil.rmtree("runs")
        assert main(["report", "small.py", "--out", "page.html"]) == 0
        html = Path("page.html").read_text()
        assert "90.1" in html
        assert "Attention maps need the outputs of the runs: no run has them in runs." in html
        assert not data_of(html, "explorer-data")

    @pytest.mark.parametrize("suffix", ["pdf", "svg"])
    def test_figures_are_files_with_their_fonts(self, capsys, suffix):
        make_runs()
        write_outputs()
        assert main(["report", "small.py", "--format", suffix, "--out", "figures"]) == 0
        names = ["dev_loss", "dev_exact", "maps_0"]
        assert capsys.readouterr().out.split() == [f"figures/{name}.{suffix}" for name in names]
        for name in names:
            data = Path(f"figures/{name}.{suffix}").read_bytes()
            assert (b"/FontDescriptor" in data) if suffix == "pdf" else (b"<text" not in data and b"<path" in data)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--items", "0"], "--items is 0, but must be at least 1"),
            (["--format", "png"], "unknown value 'png'"),
            ([], "no run of small is finished in runs"),
        ],
    )
    def test_wrong_arguments_are_one_sentence(self, capsys, arguments, message):
        Path("runs").mkdir()
        try:
            status = main(["report", "small.py", *arguments])
        except SystemExit as end:
            status = end.code
        error = capsys.readouterr().err
        assert status == 2
        assert message.removesuffix(" in runs") in error and error.count("\n") == 1

    def test_a_damaged_file_of_weights_is_an_error(self, capsys):
        make_runs()
        write_outputs()
        next(Path("runs").glob("*/outputs/attention.npz")).write_bytes(b"PK")
        assert main(["report", "small.py"]) == 2
        assert "attention.npz is damaged" in capsys.readouterr().err
        assert not Path("runs/reports/small.html").exists()


def test_hostile_text_is_escaped():
    html = make_page().render()
    assert html.count("<script") == html.count("</script>") == 5
    assert "<img" not in without_vega(html)
    for hostile in HOSTILE[:3]:
        assert hostile not in html
    assert json.loads(data_of(html, "page-data"))["labels"] == list(LABELS)


def test_the_page_loads_nothing():
    html = make_page().render()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)[1]
    assert policy.startswith("default-src 'none'") and "unsafe-eval" not in policy
    assert not re.search(r'<(?:script|link|img)[^>]*(?:src|href)="(?!data:)', without_vega(html))


def test_scripts_make_no_markup_from_text():
    for path in STATIC.glob("*.js"):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", path.read_text()
        )


def test_weights_survive_packing():
    content = json.loads(unpack(explorer_data(explorer_runs()).text))
    run = next(run for run in content["tasks"][0]["runs"] if run["label"] == "general")
    weights = np.frombuffer(unpack(run["weights"]), "<u2") / SCALE
    expected = np.concatenate([item(number, "general").weights.ravel() for number in range(len(SOURCES))])
    np.testing.assert_allclose(weights, expected, atol=0.51 / SCALE)
    assert run["outputs"][0] == item(0, "general").output


def test_eight_variants_with_200_items_fit_into_5_megabytes():
    random = np.random.default_rng(0)

    def translate(length):
        weights = random.dirichlet(np.full(length, 0.1), 12).astype("float32")
        return Item([f"word{i}" for i in range(length)], ["2"] * 11, weights, [["2"] * 11])

    lengths = random.integers(10, 40, 200)
    runs = [ExplorerRun("dates", f"v{i}", seed, [translate(n) for n in lengths]) for i in range(8) for seed in range(3)]
    data = explorer_data(runs)
    page = make_page(explorer=False).render()
    assert len(data.text) + len(page) < 5_000_000
    first = [run["label"] for run in data.content["tasks"][0]["runs"] if run["seed"] == 0]
    assert first == [f"v{i}" for i in range(8)]


def test_runs_that_do_not_fit_are_named():
    runs = [run._replace(traces=None) for run in explorer_runs(seeds=(0, 1, 2))]
    size = sum(
        len(run["weights"]) + len("null") for run in explorer_data(runs[: len(LABELS)]).content["tasks"][0]["runs"]
    )
    data = explorer_data(runs, max_bytes=size)
    assert {run["seed"] for run in data.content["tasks"][0]["runs"]} == {0}
    assert data.left_out == [f"The explorer leaves out {2 * len(LABELS)} runs, to keep the page small."]


def test_disagreement_is_the_total_variation_of_maps():
    identity, uniform = np.eye(4), np.full((4, 4), 0.25)
    make = lambda weights: Item(list("abcd"), list("abc"), weights)  # noqa: E731
    assert disagreement([make(identity), make(identity)]) == 0
    assert disagreement([make(identity), make(identity[::-1])]) == 1
    assert disagreement([make(identity), make(uniform)]) == 0.75
    assert disagreement([make(identity), make(identity[:, :0])]) is None


def test_runs_with_other_items_are_an_error():
    runs = [ExplorerRun("dates", label, 0, [item(number, "dot")]) for number, label in enumerate(LABELS[:2])]
    with pytest.raises(ValueError, match="`general` seed 0 has other test items than the other runs of dates"):
        explorer_data(runs)


def test_configs_are_split_into_shared_and_differing_fields():
    from known_records import first, record, split

    rows = {score: [record(score, seed, test=split(first(9))) for seed in (0, 1)] for score in ("dot", "general")}
    view = configs_view(rows)
    assert view.rows == ["dot", "general"]
    assert view.differing == {"model.attention.score": ["dot", "general"]}
    assert "train.steps" in view.shared
    assert "seed" not in view.shared


def test_code_in_notes_is_between_backticks():
    assert split_code("`a` and `b`.") == [(True, "a"), (False, " and "), (True, "b"), (False, ".")]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_tables_with_hostile_labels_compile(tmp_path):
    from report_pages import TABLE, rows

    table = render_latex(TABLE.build({**rows(), "a_b & 50% $x$ ~^#\\{}[]": rows()["dot"]}))
    text = rf"\documentclass{{article}}\usepackage{{booktabs}}\begin{{document}}{table}\end{{document}}"
    (tmp_path / "table.tex").write_text(text, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "table.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=120)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "table.pdf").read_bytes().startswith(b"%PDF")
