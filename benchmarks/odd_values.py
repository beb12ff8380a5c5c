"""What `benchmarks/odd_cases.py` draws from, and what was picked by hand."""

from __future__ import annotations

NUMBERS = (
    *("0", "-0", "-1", "1", "2", "3", "0.5", "1.0", "1.5", "1.0000001", "1e9", "1e-400", "1e400"),
    *("nan", "inf", "-inf", ".inf", "4294967295", "4294967296", "99999999999999999999", "9" * 5000),
    *("5e-324", "1.7976931348623157e308", "0x10", "1_000", "٣", "²", "1,5", "1e", "--1", "+3", "1 2"),
)
"""Where a number is expected."""

TEXTS = (
    *("", " ", "null", "None", "true", "False", "~", "[]", "{}", "{a: 1}", "[1, 2]", "a\nb", "a\tb"),
    *("\ud800", "\udcff", "é", "日本", "-", "*", "&a", "!!python/object:os.system", "$HOME", "@file"),
    *("a" * 300, "a" * 10_000, "../..", "/dev/null", "/dev/zero", "\0", "a\0b", "\x1b[31m"),
    *("%s %d {}", "vgg7", "vgg8", "last", "pretrained", "cpu", "none", "00:00:01:00", "1:2"),
    *("99:99:99:99", "x=y", "http://127.0.0.1:9", "http://", "http://[", "file:///etc/passwd"),
    *("folder:", "folder:.", "sgd"),
)
"""Where a text is expected."""

NOTATIONS = (
    *("", " ", ",", "(", ")", "L", "L(", "L()", "L(0)", "L(-1)", "L(10", "L(10))", "L(10),"),
    *(",L(10)", "L(1e3)", "L(1.5)", "L(٣)", "L(²)", "L(0010)", "L( 10 )", "L(99999999999)"),
    *(f"L({'9' * 5000})", "C(1000000), L(10)", "C(999999999), C(999999999), L(10)"),
    *("C(999999999), L(999999999), L(10)", "M(33), L(10)", "M(32), M(2), L(10)", "M(1), L(10)"),
    *("M(999999999), L(10)", "N, L(10)", "R, L(10)", "L(10), C(3)", "L(10), M(2)", "L(10), N"),
    *("L(10), R", "L(10), L(10)", "res(), L(10)", "res, L(10)", "res(C(4)), L(10)"),
    *("res(C(3)), L(10)", "res(L(10)), L(10)", "res(M(1)), L(10)", "CC(4), L(10)"),
    *("res(" * 19 + "C(3)" + ")" * 19 + ", L(10)", "res(" * 300 + "C(3)" + ")" * 300 + ", L(10)"),
    *("(" * 5000, "res(" * 5000, "C(4), " * 1000 + "L(10)", "R," * 6000 + "L(10)"),
    *("R" * 6000 + ",L(10)", "L(10)\0", "L(10)\ud800", "L(10)\n", "\tL(10)", "L(10)é"),
    *("CNR(4); L(10)", "CNR(4) L(10)", "RNC(4),L(10)", "vgg", "VGG7", "resnet", "resnet18"),
    *("a" * 10_000, "C(3)," * 3, "CNR(9999), L(10)", "L(1)", "L(11)"),
)
"""Networks, half of which are none."""

YAMLS: tuple[bytes, ...] = (
    *(b"", b"\n", b"---\n", b"# nothing\n", b"null\n", b"3\n", b"model\n", b"- lr\n", b"[lr, 1]\n"),
    *(b"{}\n", b"model: 3\n", b"mirror: 3\n", b"model:\n", b"model: null\n", b"model: [vgg7]\n"),
    *(b"model: {a: 1}\n", b"lr: fast\n", b"lr: 1e-3\n", b"lr: .nan\n", b"lr: .inf\n", b"lr: -1\n"),
    *(b"lr: '0.1'\n", b"lr: true\n", b"lr: 0.1\nlr: 0.2\n", b"lr: 0x10\n", b"seed: 4294967296\n"),
    *(b"seed: -1\n", b"seed: 1_0\n", b"seed: 010\n", b"augment: 3\n", b"augment: 'yes'\n"),
    *(b"augment: maybe\n", b"augment: null\n", b"augment: [true]\n", b"epochs: 3\n"),
    *(b"max-epochs: 3\n", b"Lr: 1\n", b"config: a.yaml\n", b"help: true\n", b"print_config: true\n"),
    *(b"lr : 0.1\n", b"lr:0.1\n", b"lr:\t0.1\n", b"\tlr: 0.1\n", b" lr: 0.1\nseed: 1\n", b"lr: [1\n"),
    *(b"lr: {\n", b"lr: 'a\n", b'lr: "a\n', b"? [a]\n: 1\n", b"? lr\n", b": 1\n", b"1: 2\n"),
    *(b"null: 2\n", b"true: 2\n", b"a: &a [x]\nb: *a\n", b"lr: *a\n", b"lr: &a 0.1\nwarmup: *a\n"),
    *(b"<<: {lr: 1}\n", b"lr: !!float 1\n", b"lr: !!python/object/apply:os.system ['true']\n"),
    *(b"lr: !mine 1\n", b"lr: !!binary aGk=\n", b"%YAML 9.9\n---\nlr: 1\n", b"lr: 1\n---\nlr: 2\n"),
    *(b"lr: 1\n...\nx\n", b"lr: |\n  1\n", b"model: |\n  L(10)\n", b"max_time: 1:30:00:00\n"),
    *(b"model: 2024-01-01\n", b"data_dir: 2024\n", b"seed: 1" + b"0" * 5000 + b"\n"),
    *(b"model: " + b"a" * 200_000, b"\xef\xbb\xbflr: 0.1\n", "lr: 0.1\n".encode("utf-16")),
    *("lr: 0.1\n".encode("utf-16-be"), b"log_dir: \xe9\n", "lr: 0.1\n".encode("utf-32"), b"\xff\xfe"),
    *(b"\0", b"lr: 0.1\0\n", b"log_dir: a\x07\n", b'log_dir: "a\\0b"\n', b'log_dir: "\\ud800"\n'),
    *(b"log_dir: ''\n", b"x" * 2_000_000, b"[" * 5000, b"{a: " * 5000, b"a:\n" * 5000),
    b"a: &a [1]\n" + b"".join(b"%c: &%c [*%c, *%c]\n" % (n + 1, n + 1, n, n) for n in range(97, 115)),
    *(b"PK\x03\x04" + bytes(range(256)), bytes(range(256)) * 4, b"\x89PNG\r\n\x1a\n", b"repeat: 2\n"),
    *(b"repeat: 0\n", b"notation: 3\ncores: 2\ntorch: 2\ngpu: none\n", b"optimizer: adagrad\n"),
    *(b"dataset: 3\n", b"flip: no\n", b"ema: 1\n", b"devices: 100\n", b"resume: 3\n"),
    *(b"weights: /dev/zero\n", b"lr: 1 # fine\n", b"json: true\n"),
)
"""Files for ``--config``."""

LINES = (
    *("train --cuto=8", "train --seed 4294967296", "train --seed -1"),
    *("train --seed 4294967295 --repeat 2", "train --batch-size 99999999999999999999"),
    *("train --max-epochs 1e9", "train --lr nan", "train --lr inf", "train --lr 1e-400"),
    *("train --label-smoothing 1.0000001", "train --model=", "train --config", "train --config="),
    *("train --flip=none --no-augment", "train --no-augment --flip=random"),
    *("train --augment --no-augment --flip=random", "train --no-x", "train --no-model"),
    *("train --lr=1 --lr=x", "train --lr", "train --", "train -- x", "train -h=3", "train --help=3"),
    *("train --repeat 0", "train --repeat 99999999999999999999", "train --devices 100"),
    *("train --devices 1e3", "train --config /dev/zero", "train --config /dev/null"),
    *("train --config .", "train --config {here}/pipe", "train --weights /dev/zero"),
    *("train --weights .", "train --weights {here}/pipe", "train --weights {here}/none"),
    *("train --weights pretrained", "train --resume /dev/zero", "train --resume ."),
    *("train --resume {here}/none", "train --log-dir /dev/null"),
    *("train --data-dir {here} --dataset cifar10", "train --dataset folder:{here}/logs"),
    *("train --dataset folder:/dev/zero", "train --dataset folder:{here}/pipe", "evaluate"),
    *("evaluate last --log-dir {here}/nowhere", "evaluate /dev/zero", "evaluate {here}/pipe"),
    *("evaluate .", "evaluate {here}/run --json", "evaluate {here}/run --best", "evaluate a b"),
    *("evaluate last --log-dir /dev/null", "predict", "predict {here}/none.png", "predict /dev/zero"),
    *("predict {here}/pipe", "predict {here} --run {here}/pipe"),
    "predict {here}/picture.png --run /dev/zero",
    "predict {here}/picture.png --run {here}/none.safetensors",
    *("predict {here}/picture.png --best", "predict {here}/picture.png --out x.jpg --explain"),
    *("predict .", "compare", "compare {here}/run", "compare {here}/run {here}/run"),
    "compare {here}/run /dev/zero --out {here}/a.png",
    *("compare {here}/run {here}/pipe --out {here}/a.png", "compare [ ** --out {here}/a.png"),
    *("compare last last", "export {here}/run", "export {here}/run --format x"),
    *("export /dev/zero --format torch", "export {here}/pipe --format torch"),
    "export {here}/run --format torch --out {here}",
    *("export {here}/run --format torch --out /dev/null/a.pt", "models x", "models ["),
    *("models ** --json", "summary", "summary a b", "summary vgg8", "summary L(10) --json", "check"),
    *("check a", "check a:", "check :a", "check a:b", "check os:system", "check sys:exit"),
    *("check ansnet.functional:nothing", "check ansnet.functional:relu --only nothing", "check ..:a"),
    *("check .a:b", "check a.b:c", "check os.path:join"),
    "check ansnet.functional:relu --only gradcheck --backend nothing",
    *("check ansnet.functional:relu --samples a", "check ansnet.functional:relu --samples os:name"),
    *("check ansnet.functional:relu --reference os:name --only gradcheck", "capabilities x"),
    *("capabilities --backend nothing", "capabilities --backend=", "find-lr --lr 1"),
    *("find-lr --out /x/y.png", "find-lr --out a.jpg", "find-lr --repeat 2", "find-lr --find-lr"),
    *("find-lr --resume x", "trian", "--version", "-x", "help"),
)
"""Command lines: what was found wrong once, and what is like it."""
