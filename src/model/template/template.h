// Go's text/template syntax, as rule annotations and notification texts use it.
//
// Supported: text, {{- trim markers -}}, comments, fields and map keys, variables, pipelines, parentheses, if / else
// if, range (lists, maps, integers; break, continue), with, define, template, block, methods of times and durations,
// and the built-in functions and, or, not, eq, ne, lt, le, gt, ge, len, index, slice, print, printf, println, html, js,
// urlquery. More functions come in with Functions; a name that nobody brought is refused when the template is parsed,
// by name. Source: https://pkg.go.dev/text/template (the language; this is an implementation of its own).
//
// A Template is immutable and thread-safe. Rendering is bounded: Limits says how.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/template/value.h"

namespace qd::model::tmpl {

using Function = std::function<base::Result<Value>(std::span<const Value>)>;
using Functions = std::map<std::string, Function, std::less<>>;

struct Limits {
  std::size_t output_bytes = 1 << 20;  // of the output, and of what a function gives
  std::size_t steps = 1'000'000;       // nodes evaluated
  std::size_t depth = 100;             // of nesting and of templates that call templates
  // Asked every few steps, if there; what it fails with ends the rendering.
  std::function<base::Status()> go_on;
};

class Template {
 public:
  // kInvalid "name:line: what" on a syntax error or an unknown function. `functions` is kept.
  static base::Result<Template> parse(std::string_view name, std::string_view text, Functions functions = {});

  // `dot` is what {{ . }} means. kInvalid names the place and what went wrong; kLimit the bound that was met.
  base::Result<std::string> render(const Value& dot, const Limits& limits = {}) const;

 private:
  struct Program;
  friend class Parser;
  friend class Run;
  explicit Template(std::shared_ptr<const Program> program) : program_(std::move(program)) {}
  std::shared_ptr<const Program> program_;
};

// and, or, not, eq, … : what every template has.
const Functions& builtin_functions();

}  // namespace qd::model::tmpl
