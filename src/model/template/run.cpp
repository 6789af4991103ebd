#include <fmt/format.h>

#include "model/template/syntax.h"
#include "model/template/time_value.h"

namespace qd::model::tmpl {

using base::ErrorCode;
using base::Result;

namespace {

constexpr std::size_t kStepsBetweenAsking = 64;

}  // namespace

// One rendering.
class Run {
 public:
  Run(const Template::Program& program, const Limits& limits, const Value& dot)
      : program_(program), limits_(limits), variables_{{"", dot}} {}

  Result<std::string> all(const Value& dot) {
    const auto flow = nodes(program_.body, dot, 0);
    if (!flow) return base::fail(flow.error());
    return std::move(out_);
  }

 private:
  enum class Flow { kOn, kBreak, kContinue };

  std::unexpected<base::Error> error(int line, std::string_view what) const {
    return base::fail(ErrorCode::kInvalid, fmt::format("template {}:{}: {}", program_.name, line, what));
  }
  std::unexpected<base::Error> limit(std::string_view what) const {
    return base::fail(ErrorCode::kLimit, fmt::format("template {}: {}", program_.name, what));
  }

  base::Status step() {
    if (++steps_ > limits_.steps) return limit(fmt::format("more than {} steps", limits_.steps));
    if (limits_.go_on && steps_ % kStepsBetweenAsking == 0) return limits_.go_on();
    return {};
  }

  Result<Flow> nodes(const std::vector<Node>& list, const Value& dot, std::size_t depth) {
    if (depth > limits_.depth) return limit(fmt::format("templates are nested deeper than {}", limits_.depth));
    const auto variables = variables_.size();
    Flow flow = Flow::kOn;
    for (const auto& item : list) {
      QD_TRY(step());
      QD_ASSIGN(flow, node(item, dot, depth));
      if (out_.size() > limits_.output_bytes)
        return limit(fmt::format("the text is longer than {} bytes", limits_.output_bytes));
      if (flow != Flow::kOn) break;
    }
    variables_.resize(variables);
    return flow;
  }

  Result<Flow> node(const Node& n, const Value& dot, std::size_t depth) {
    switch (n.kind) {
      case Node::Kind::kText:
        out_ += n.text;
        return Flow::kOn;
      case Node::Kind::kBreak:
        return Flow::kBreak;
      case Node::Kind::kContinue:
        return Flow::kContinue;
      case Node::Kind::kAction: {
        QD_ASSIGN(const Value value, pipeline(n.pipeline, dot, depth));
        if (n.pipeline.variables.empty()) out_ += value.is_nil() ? "<no value>" : value.to_string();
        return Flow::kOn;
      }
      case Node::Kind::kTemplate: {
        Value argument;
        if (n.has_pipeline) {
          QD_ASSIGN(argument, pipeline(n.pipeline, dot, depth));
        }
        const auto found = program_.definitions.find(n.text);
        if (found == program_.definitions.end()) return error(n.line, fmt::format("no template \"{}\"", n.text));
        auto outer = std::exchange(variables_, {{"", argument}});
        auto flow = nodes(found->second, argument, depth + 1);
        variables_ = std::move(outer);
        if (!flow) return base::fail(flow.error());
        return Flow::kOn;
      }
      case Node::Kind::kRange:
        return range(n, dot, depth);
      case Node::Kind::kIf:
      case Node::Kind::kWith: {
        const auto variables = variables_.size();
        QD_ASSIGN(const Value value, pipeline(n.pipeline, dot, depth));
        const bool truth = value.truth();
        auto flow = nodes(truth ? n.body : n.otherwise, truth && n.kind == Node::Kind::kWith ? value : dot, depth + 1);
        variables_.resize(variables);
        return flow;
      }
    }
    return Flow::kOn;
  }

  Result<Flow> range(const Node& n, const Value& dot, std::size_t depth) {
    const auto variables = variables_.size();
    auto plain = n.pipeline;
    plain.variables.clear();
    QD_ASSIGN(const Value over, pipeline(plain, dot, depth));
    std::vector<std::pair<Value, Value>> items;
    if (const auto* list = over.list()) {
      for (std::size_t i = 0; i < list->size(); ++i) items.emplace_back(static_cast<std::int64_t>(i), (*list)[i]);
    } else if (const auto* map = over.map()) {
      for (const auto& [key, value] : *map) items.emplace_back(key, value);
    } else if (const auto* count = over.integer()) {
      if (*count > static_cast<std::int64_t>(limits_.steps))
        return limit(fmt::format("more than {} steps", limits_.steps));
      for (std::int64_t i = 0; i < *count; ++i) items.emplace_back(i, i);
    } else if (!over.is_nil()) {
      return error(n.line, fmt::format("range can't iterate over a {}", over.type_name()));
    }
    if (items.empty()) return nodes(n.otherwise, dot, depth + 1);
    for (const auto& [key, value] : items) {
      const auto& names = n.pipeline.variables;
      if (names.size() == 1) set(names[0], value, n.pipeline.declares);
      if (names.size() == 2) {
        set(names[0], key, n.pipeline.declares);
        set(names[1], value, n.pipeline.declares);
      }
      QD_ASSIGN(const Flow flow, nodes(n.body, value, depth + 1));
      variables_.resize(variables);
      if (flow == Flow::kBreak) break;
    }
    return Flow::kOn;
  }

  void set(const std::string& name, const Value& value, bool declare) {
    if (!declare) {
      for (auto i = variables_.rbegin(); i != variables_.rend(); ++i) {
        if (i->first != name) continue;
        i->second = value;
        return;
      }
    }
    variables_.emplace_back(name, value);
  }

  Result<Value> pipeline(const Pipeline& p, const Value& dot, std::size_t depth) {
    if (depth > limits_.depth) return limit(fmt::format("pipelines are nested deeper than {}", limits_.depth));
    Value value;
    bool first = true;
    for (const auto& command : p.commands) {
      QD_ASSIGN(value, run(command, dot, first ? nullptr : &value, depth));
      first = false;
    }
    for (const auto& name : p.variables) set(name, value, p.declares);
    return value;
  }

  // `piped` is what the command before gave: the last argument of this one.
  Result<Value> run(const Command& command, const Value& dot, const Value* piped, std::size_t depth) {
    QD_TRY(step());
    const auto& head = command.arguments.front();
    if (head.kind != Operand::Kind::kFunction) return method(command, dot, piped, depth);
    // `and` and `or` stop at the argument that decides.
    const bool stops = head.name == "and" || head.name == "or";
    std::vector<Value> arguments;
    for (std::size_t i = 1; i < command.arguments.size(); ++i) {
      QD_ASSIGN(Value value, operand(command.arguments[i], dot, command.line, depth));
      if (stops && value.truth() == (head.name == "or")) return value;
      arguments.push_back(std::move(value));
    }
    if (piped) arguments.push_back(*piped);
    return call(head, arguments, command.line);
  }

  // .A.B x y: arguments are for the last field, which must be a method then.
  Result<Value> method(const Command& command, const Value& dot, const Value* piped, std::size_t depth) {
    const auto& head = command.arguments.front();
    std::vector<Value> arguments;
    for (std::size_t i = 1; i < command.arguments.size(); ++i) {
      QD_ASSIGN(Value value, operand(command.arguments[i], dot, command.line, depth));
      arguments.push_back(std::move(value));
    }
    if (piped) arguments.push_back(*piped);
    if (!arguments.empty() && head.fields.empty())
      return error(command.line, "can't give arguments to what is no function");
    return operand(head, dot, command.line, depth, arguments);
  }

  Result<Value> call(const Operand& head, std::span<const Value> arguments, int line) {
    const auto own = program_.functions.find(head.name);
    const auto& function = own != program_.functions.end() ? own->second : builtin_functions().find(head.name)->second;
    auto result = function(arguments);
    if (!result) {
      if (result.error().code() != ErrorCode::kInvalid) return result;
      return error(line, fmt::format("{}: {}", head.name, result.error().message()));
    }
    if (result->text() && result->text()->size() > limits_.output_bytes)
      return limit(fmt::format("{} gives a text longer than {} bytes", head.name, limits_.output_bytes));
    return fields(std::move(*result), head.fields, line);
  }

  Result<Value> operand(const Operand& o, const Value& dot, int line, std::size_t depth,
                        std::span<const Value> arguments = {}) {
    switch (o.kind) {
      case Operand::Kind::kDot:
      case Operand::Kind::kField:
        return fields(dot, o.fields, line, arguments);
      case Operand::Kind::kConstant:
        return fields(o.constant, o.fields, line, arguments);
      case Operand::Kind::kFunction:
        return call(o, {}, line);
      case Operand::Kind::kPipeline: {
        QD_ASSIGN(Value value, pipeline(*o.pipeline, dot, depth + 1));
        return fields(std::move(value), o.fields, line, arguments);
      }
      case Operand::Kind::kVariable:
        for (auto i = variables_.rbegin(); i != variables_.rend(); ++i)
          if (i->first == o.name) return fields(i->second, o.fields, line, arguments);
        return error(line, fmt::format("undefined variable ${}", o.name));
    }
    return Value();
  }

  Result<Value> fields(Value value, const std::vector<std::string>& path, int line,
                       std::span<const Value> arguments = {}) const {
    for (std::size_t i = 0; i < path.size(); ++i) {
      const bool last = i + 1 == path.size();
      if (value.time() || value.duration()) {
        auto result = call_method(value, path[i], last ? arguments : std::span<const Value>());
        if (!result) return error(line, result.error().message());
        value = std::move(*result);
        continue;
      }
      const auto* map = value.map();
      if (!map) return error(line, fmt::format("can't evaluate field {} in a {}", path[i], value.type_name()));
      if (last && !arguments.empty()) return error(line, fmt::format("{} is no method: it takes nothing", path[i]));
      const auto found = map->find(path[i]);
      value = found == map->end() ? missing_of(*map) : Value(found->second);
    }
    return value;
  }

  const Template::Program& program_;
  const Limits& limits_;
  std::vector<std::pair<std::string, Value>> variables_;
  std::string out_;
  std::size_t steps_ = 0;
};

base::Result<std::string> Template::render(const Value& dot, const Limits& limits) const {
  return Run(*program_, limits, dot).all(dot);
}

}  // namespace qd::model::tmpl
