// The tree of a parsed template. Internal to this room.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model/template/template.h"

namespace qd::model::tmpl {

struct Operand;

// f a b, or a single operand.
struct Command {
  int line = 0;
  std::vector<Operand> arguments;
};

// $x, $y := command | command
struct Pipeline {
  int line = 0;
  std::vector<std::string> variables;
  bool declares = false;  // := rather than =
  std::vector<Command> commands;
};

struct Operand {
  enum class Kind { kDot, kField, kVariable, kFunction, kConstant, kPipeline };
  Kind kind = Kind::kDot;
  std::string name;                 // of the variable or function
  std::vector<std::string> fields;  // .A.B behind it
  Value constant;
  std::shared_ptr<Pipeline> pipeline;  // in parentheses
};

struct Node {
  enum class Kind { kText, kAction, kIf, kRange, kWith, kTemplate, kBreak, kContinue };
  Kind kind = Kind::kText;
  int line = 0;
  std::string text;  // of kText; the name of kTemplate
  Pipeline pipeline;
  bool has_pipeline = true;
  std::vector<Node> body;
  std::vector<Node> otherwise;
};

struct Template::Program {
  std::string name;
  Functions functions;
  std::vector<Node> body;
  std::map<std::string, std::vector<Node>, std::less<>> definitions;
};

}  // namespace qd::model::tmpl
