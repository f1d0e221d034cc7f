"""`python -m llm.training [step]`: makes the shipped writer, step by step or all of it."""

import argparse
import json
from itertools import islice
from pathlib import Path

from tqdm import tqdm

from llm.training import chart, export, tokenizer, train
from llm.training.evaluate import evaluate
from llm.training.generate import examples

MODELS = Path(__file__).parents[1] / "models"
STEPS = ("generate", "tokenizer", "train", "export", "evaluate")


def main() -> None:
    """Runs the steps asked for; files in between lie in `--home`."""
    asked = _arguments()
    home: Path = asked.home
    home.mkdir(parents=True, exist_ok=True)
    for step in STEPS if asked.step == "all" else (asked.step,):
        print(f"== {step}", flush=True)
        if step == "generate":
            _show(home / "examples.jsonl", asked.seed)
        elif step == "tokenizer":
            tokenizer.train(home / "tokenizer.model", seed=asked.seed)
        elif step == "train":
            recipe = train.Recipe(
                minutes=asked.minutes, threads=asked.threads, seed=asked.seed, resume=asked.resume
            )
            train.train(home, recipe)
            chart.draw(home / "loss.jsonl", asked.target.with_name("loss.svg"))
        elif step == "export":
            export.export(home / "checkpoint.pt", home / "tokenizer.model", asked.target)
        else:
            evaluate(asked.target, each=asked.each, shown=8)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m llm.training", description=main.__doc__)
    parser.add_argument("step", nargs="?", default="all", choices=("all", *STEPS))
    parser.add_argument("--home", type=Path, default=Path("build/training"))
    parser.add_argument("--target", type=Path, default=MODELS / "jishi-writer-q8_0.gguf")
    parser.add_argument("--minutes", type=float, default=45.0, help="longest time to train")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--each", type=int, default=8, help="replies a branch to evaluate")
    return parser.parse_args()


def _show(path: Path, seed: int, wanted: int = 2000) -> None:
    """Writes some examples to read; training draws its own as it goes and stores none."""
    with path.open("w", encoding="utf-8") as file:
        for example in tqdm(islice(examples(seed), wanted), total=wanted, unit="example"):
            row = {"plan": example.move.line(), "reply": example.reply}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    print(f"{wanted} examples in {path}")


if __name__ == "__main__":
    main()
