#!/usr/bin/env python3
"""Each check of tools/tidy finds a bad example and passes the same example mended."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

TIDY = pathlib.Path(__file__).resolve().parent / "tidy"
LAYERS = "floor 0 base\nfloor 1 model\nfloor 3 store\nfloor 9 cli\n"
CLANG_TIDY = "Checks: '-*,bugprone-use-after-move'\nHeaderFilterRegex: 'src/.*'\n"
# Stands in for clang-tidy where the question is which sources it is given.
READER = """#!/bin/sh
sleep ${READER_SECONDS:-0}
for word; do case $word in *.cpp) echo "$word:1:1: warning: read" ;; esac; done
"""


def write(root, files):
    for name, text in files.items():
        path = pathlib.Path(root) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def tidy(files, check, *arguments, before=(), reader="", **environment):
    """Runs a check on files that are not committed; `before` lists what was committed before, the oldest first."""
    with tempfile.TemporaryDirectory() as root:
        git = ["git", "-C", root, "-c", "user.name=x", "-c", "user.email=x@localhost", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "init", "-q", root], check=True)
        write(root, {"tools/layers.txt": LAYERS, ".clang-tidy": CLANG_TIDY})
        for committed in before:
            write(root, committed)
            subprocess.run([*git, "add", "-A"], check=True)
            subprocess.run([*git, "commit", "-q", "-m", "x"], check=True)
        write(root, files)
        path = os.environ["PATH"]
        if reader:
            write(root, {"bin/clang-tidy-19": reader})
            (pathlib.Path(root) / "bin/clang-tidy-19").chmod(0o755)
            path = f"{root}/bin:{path}"
        environment = {**os.environ, "QD_TIDY_BASE": "", "QD_TIDY_SECONDS": "", "PATH": path, **environment}
        command = [TIDY, "--root", root, "--only", check, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        return done.returncode, done.stdout


class Checks(unittest.TestCase):
    def assert_caught(self, check, bad, good, where, **more):
        code, output = tidy(bad, check, **more)
        self.assertEqual(code, 1, output)
        self.assertIn(where, output)
        code, output = tidy(good, check, **more)
        self.assertEqual(code, 0, output)

    def assert_read(self, output, sources):
        read = [line.split(":")[0] for line in output.splitlines() if line.endswith("clang-tidy: read")]
        self.assertEqual(read, sorted(sources), output)

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

    def test_layers_refuse_what_is_ours_in_angle_brackets(self):
        self.assert_caught(
            "layers",
            {"src/base/x.h": "#include <vector>\n#include <store/metrics/wal.h>\n"},
            {"src/base/x.h": "#include <vector>\n#include <boost/asio.hpp>\n"},
            "src/base/x.h:2: layers: base must not include store/metrics",
        )
        self.assert_caught(
            "layers",
            {"src/store/metrics/x.h": "# include <base/log.h>\n"},
            {"src/store/metrics/x.h": '# include "base/log.h"\n'},
            "src/store/metrics/x.h:1: layers: base/log.h is ours, include it in quotes",
        )

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

    def test_clang_tidy_reads_a_changed_header_through_the_source_beside_it(self):
        head = "#pragma once\n#include <string>\n#include <utility>\nvoid take(std::string);\n"
        self.assert_caught(
            "clang-tidy",
            {"src/base/x.h": head + "inline void f(std::string s) {\n  take(std::move(s));\n  take(s);\n}\n"},
            {"src/base/x.h": head + "inline void f(std::string s) { take(std::move(s)); }\n"},
            "src/base/x.h:7: clang-tidy",
            before=[{"src/base/x.h": head, "src/base/x.cpp": '#include "base/x.h"\n'}],
            QD_TIDY_BASE="HEAD",
        )

    def test_clang_tidy_reads_a_changed_header_through_a_few_sources_of_its_room(self):
        x, y = '#include "base/x.h"\n', '#include "base/y.h"\n'
        before = {"src/base/x.h": "", "src/base/y.h": x, "src/base/y.cpp": y, "src/base/z.cpp": x}
        before |= {"src/base/other.cpp": "", "src/base/x_test.cpp": x, "src/model/x.cpp": x}
        more = {"before": [before], "reader": READER, "QD_TIDY_BASE": "HEAD"}
        _, output = tidy({"src/base/x.h": "int x;\n"}, "clang-tidy", **more)
        self.assert_read(output, ["src/base/y.cpp", "src/base/z.cpp"])
        _, output = tidy({"src/base/x.h": "int x;\n", "src/base/x.cpp": x}, "clang-tidy", **more)
        self.assert_read(output, ["src/base/x.cpp"])
        many = {f"src/base/{letter}.cpp": x for letter in "abcd"}
        _, output = tidy({"src/base/x.h": "int x;\n"}, "clang-tidy", **{**more, "before": [{**before, **many}]})
        self.assert_read(output, [f"src/base/{letter}.cpp" for letter in "abc"])

    def test_clang_tidy_reads_the_newest_first_and_starts_none_late(self):
        # All of the new ones are read at once, longer than there is time.
        new = {f"src/base/new{i}.cpp": "" for i in range(os.cpu_count() or 2)}
        old = {"src/base/a.cpp": ""}
        for before, files in [([old], new), ([old, new], {})]:
            more = {"before": before, "reader": READER, "READER_SECONDS": "2", "QD_TIDY_SECONDS": "1"}
            _, output = tidy(files, "clang-tidy", **more)
            self.assert_read(output, new)
            self.assertIn(f"clang-tidy read {len(new)} sources and left 1 (--all reads all)", output)

    def test_clang_tidy_reads_all_when_told_to(self):
        names = ["tests/fuzz/built.cpp", "bench/built.cpp", "bench/built_bench.cpp"]
        built = json.dumps([{"directory": ".", "file": name, "command": "c++"} for name in names])
        sources = ["src/base/x.cpp", "src/base/x_test.cpp", "src/base/x_bench.cpp", "tests/fuzz/unbuilt.cpp", *names]
        files = {**dict.fromkeys(sources, ""), "build/fuzz/compile_commands.json": built}
        _, output = tidy(files, "clang-tidy", "--all", reader=READER, QD_TIDY_SECONDS="0")
        self.assert_read(output, ["src/base/x.cpp", "tests/fuzz/built.cpp", "bench/built.cpp"])
        _, output = tidy(files, "clang-tidy", reader=READER)
        self.assert_read(output, ["src/base/x.cpp"])

    def test_threads_refuse_a_lock_without_annotations(self):
        self.assert_caught(
            "threads",
            {"src/base/x.h": "#pragma once\n#include <mutex>\nclass X {\n  std::mutex mutex_;\n};\n"},
            {"src/base/x.h": "class X {\n  base::Mutex mutex_;\n  int n_ QD_GUARDED_BY(mutex_);\n};\n"},
            "src/base/x.h:4: threads",
        )

    def test_threads_refuse_every_kind_of_bare_lock(self):
        kinds = [f"{kind}{timed}mutex" for kind in ("", "recursive_", "shared_") for timed in ("", "timed_")]
        kinds += ["lock_guard", "unique_lock", "scoped_lock", "shared_lock"]
        kinds += ["condition_variable", "condition_variable_any", "call_once", "once_flag"]
        code, output = tidy({"src/base/x.cpp": "".join(f"std::{kind} x;\n" for kind in kinds)}, "threads")
        self.assertEqual(code, 1, output)
        for number, kind in enumerate(kinds, 1):
            self.assertIn(f"src/base/x.cpp:{number}: threads", output, kind)
        code, output = tidy({"src/base/x.cpp": "".join(f"base::{kind} x;\n" for kind in kinds)}, "threads")
        self.assertEqual(code, 0, output)

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

    def test_threads_want_a_word_for_each_of_the_locks_on_a_line(self):
        guarded = "  int n_ QD_GUARDED_BY(a_);\n"
        both = guarded + "  int m_ QD_GUARDED_BY(b_);\n"
        for line in ["mutable base::Mutex a_, b_;", "base::Mutex a_; base::SharedMutex b_;"]:
            bad, good = ({"src/base/x.h": f"class X {{\n  {line}\n{what}}};\n"} for what in (guarded, both))
            self.assert_caught("threads", bad, good, "src/base/x.h:2: threads: nothing says what b_ guards")
        self.assert_caught(
            "threads",
            {"src/base/x.h": "Mutex a_, b_;  // guards no data\n"},
            {"src/base/x.h": "Mutex a_;  // guards no data\n// Guards no data either.\nMutex b_;\n"},
            "what b_ guards",
        )
        self.assert_caught(
            "threads",
            {"src/base/x.h": "Mutex a_;  // guards no data\nMutex b_;\n"},
            {"src/base/x.h": "Mutex a_;  // guards no data\nMutex b_;  // guards no data\n"},
            "src/base/x.h:2: threads: nothing says what b_ guards",
        )

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

    def test_links_in_html_must_lead_somewhere(self):
        files = {"b.png": "", "c.png": ""}
        for tag in [
            '<img alt="b"\n src="{}">',
            "<source media='(min-width: 9px)' srcset='b.png 1x, {} 2x'>",
            '<a href="{}"><img src="b.png"></a>',
            "<img src={} />",
        ]:
            bad, good = ({**files, "a.md": "\n" + tag.format(name) + "\n"} for name in ("d.png", "c.png"))
            where = "a.md:3" if "\n" in tag else "a.md:2"
            self.assert_caught("links", bad, good, f"{where}: links: d.png is not there")
        elsewhere = '<a href="https://example.org/x">x</a> `<img src="d.png">`\n```\n<img src="d.png">\n```\n'
        code, output = tidy({"a.md": elsewhere}, "links")
        self.assertEqual(code, 0, output)

    def test_links_by_reference_must_lead_somewhere(self):
        self.assert_caught(
            "links",
            {"a.md": "see [b][r]\n\n[r]: b.md\n"},
            {"a.md": "see [b][r] and [c][^1]\n\n[r]: <b.md>\n[s]: https://example.org\n[^1]: a note\n", "b.md": ""},
            "a.md:3: links: b.md is not there",
        )

    def test_readme_commands_must_exist(self):
        dev = {"dev": "command_test() {\n:\n}\n", "src/cli/a.cpp": 'root.add_command("run", "");\n'}
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
