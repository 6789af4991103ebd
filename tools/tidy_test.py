#!/usr/bin/env python3
"""Each check of tools/tidy finds a bad example and passes the same example mended."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

TIDY = pathlib.Path(__file__).resolve().parent / "tidy"
LAYERS = "floor 0 base\nfloor 1 model\nfloor 3 store\nfloor 9 cli\n"
CLANG_TIDY = "Checks: '-*,bugprone-use-after-move'\n"


def tidy(files, check):
    with tempfile.TemporaryDirectory() as root:
        for name, text in {"tools/layers.txt": LAYERS, ".clang-tidy": CLANG_TIDY, **files}.items():
            path = pathlib.Path(root) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        subprocess.run(["git", "init", "-q", root], check=True)
        done = subprocess.run([TIDY, "--root", root, "--only", check], capture_output=True, text=True)
        return done.returncode, done.stdout


class Checks(unittest.TestCase):
    def assert_caught(self, check, bad, good, where):
        code, output = tidy(bad, check)
        self.assertEqual(code, 1, output)
        self.assertIn(where, output)
        code, output = tidy(good, check)
        self.assertEqual(code, 0, output)

    def test_layers_refuse_an_include_that_goes_up(self):
        self.assert_caught(
            "layers",
            {"src/base/x.h": '#include "store/metrics/wal.h"\n'},
            {"src/store/metrics/x.h": '#include "base/log.h"\n#include "store/metrics/wal.h"\n'},
            "src/base/x.h:1: layers",
        )

    def test_layers_refuse_a_neighbour_room_unless_an_edge_stands(self):
        bad = {"src/store/metrics/x.h": '#include "store/state/db.h"\n'}
        edge = {"tools/layers.txt": LAYERS + "edge store/metrics store/state for a test\n"}
        self.assert_caught("layers", bad, {**bad, **edge}, "store/metrics must not include store/state")

    def test_headers_must_compile_alone(self):
        self.assert_caught(
            "headers",
            {"src/base/x.h": "#pragma once\nstd::string name();\n"},
            {"src/base/x.h": "#pragma once\n#include <string>\nstd::string name();\n"},
            "src/base/x.h:1: headers",
        )

    def test_format_is_checked(self):
        self.assert_caught(
            "format",
            {"src/base/x.cpp": "int   f( ){return 1;}\n"},
            {"src/base/x.cpp": "int f() { return 1; }\n"},
            "src/base/x.cpp:1: format",
        )

    def test_clang_tidy_runs(self):
        head = "#include <string>\n#include <utility>\nvoid take(std::string);\n"
        self.assert_caught(
            "clang-tidy",
            {"src/base/x.cpp": head + "void f(std::string s) {\n  take(std::move(s));\n  take(s);\n}\n"},
            {"src/base/x.cpp": head + "void f(std::string s) { take(std::move(s)); }\n"},
            "src/base/x.cpp:6: clang-tidy",
        )

    def test_threads_refuse_a_lock_without_annotations(self):
        self.assert_caught(
            "threads",
            {"src/base/x.h": "#pragma once\n#include <mutex>\nclass X {\n  std::mutex mutex_;\n};\n"},
            {"src/base/x.h": "class X {\n  base::Mutex mutex_;\n  int n_ QD_GUARDED_BY(mutex_);\n};\n"},
            "src/base/x.h:4: threads",
        )

    def test_threads_refuse_a_lock_that_guards_nothing(self):
        self.assert_caught(
            "threads",
            {"src/base/x.h": "class X {\n  Mutex mutex_;\n  int n_;\n};\n"},
            {"src/base/x.h": "class X {\n  Mutex mutex_;\n  int n_ QD_GUARDED_BY(mutex_);\n};\n"},
            "src/base/x.h:2: threads",
        )

    def test_threads_take_a_word_where_no_annotation_fits(self):
        code, output = tidy({"src/base/x.h": "struct Stripe {\n  Mutex mutex;  // guards a stripe\n};\n"}, "threads")
        self.assertEqual(code, 0, output)

    def test_links_must_lead_somewhere(self):
        self.assert_caught(
            "links",
            {"a.md": "see [b](b.md)\n"},
            {"a.md": "see [b](b.md#some-part)\n", "b.md": "# Some part\n"},
            "a.md:1: links: b.md is not there",
        )

    def test_links_must_name_headings_that_exist(self):
        self.assert_caught(
            "links",
            {"a.md": "see [b](b.md#other)\n", "b.md": "# Some part\n"},
            {"a.md": "see [b](b.md)\n", "b.md": "# Some part\n"},
            "no heading #other",
        )

    def test_readme_commands_must_exist(self):
        dev = {"dev": "command_test() {\n:\n}\n", "src/cli/a.cpp": 'app.add_subcommand("run", "");\n'}
        self.assert_caught(
            "readme",
            {**dev, "README.md": "`./dev fly`\n"},
            {**dev, "README.md": "`./dev test` and `quarterdeck run`\n"},
            "./dev has no command fly",
        )
        self.assert_caught(
            "readme",
            {**dev, "README.md": "`quarterdeck sail`\n"},
            {**dev, "README.md": "`quarterdeck run`\n"},
            "quarterdeck has no command sail",
        )

    def test_words_of_unfinished_work_are_found(self):
        self.assert_caught(
            "words",
            {"src/base/x.cpp": "// TO" + "DO later\n"},
            {"src/base/x.cpp": "// The list is complete: to do nothing is right here.\n"},
            "src/base/x.cpp:1: words",
        )


if __name__ == "__main__":
    sys.exit(0 if unittest.main(exit=False, verbosity=1).result.wasSuccessful() else 1)
