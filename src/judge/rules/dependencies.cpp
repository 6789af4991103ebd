#include "judge/rules/dependencies.h"

#include <algorithm>
#include <map>
#include <set>

#include "query/promql/ast.h"
#include "query/promql/functions.h"
#include "query/promql/parser.h"

namespace qd::judge::rules {

namespace {

namespace promql = query::promql;
using promql::as;
using promql::Expr;

// What one rule reads.
struct Reads {
  bool anything = false;
  std::set<std::string> names;
  std::vector<model::Matcher> patterns;  // of names, beyond equality
};

void read_selector(const promql::VectorSelector& selector, Reads& reads) {
  bool named = false;
  for (const auto& matcher : selector.matchers) {
    if (matcher.name() != model::kMetricName) continue;
    named = true;
    if (matcher.kind() == model::Matcher::Kind::kEqual)
      reads.names.insert(matcher.value());
    else
      reads.patterns.push_back(matcher);
  }
  reads.anything = reads.anything || !named;
}

void walk(const Expr& expr, Reads& reads) {
  switch (expr.kind) {
    case Expr::Kind::kVectorSelector:
      return read_selector(as<promql::VectorSelector>(expr), reads);
    case Expr::Kind::kMatrixSelector:
      return walk(*as<promql::MatrixSelector>(expr).selector, reads);
    case Expr::Kind::kSubquery:
      return walk(*as<promql::Subquery>(expr).inner, reads);
    case Expr::Kind::kParen:
      return walk(*as<promql::ParenExpr>(expr).inner, reads);
    case Expr::Kind::kUnary:
      return walk(*as<promql::UnaryExpr>(expr).inner, reads);
    case Expr::Kind::kBinary:
      walk(*as<promql::BinaryExpr>(expr).left, reads);
      return walk(*as<promql::BinaryExpr>(expr).right, reads);
    case Expr::Kind::kCall:
      // info() looks for metrics that its text need not name.
      if (as<promql::Call>(expr).function->id == promql::FunctionId::kInfo) reads.anything = true;
      for (const auto& arg : as<promql::Call>(expr).args) walk(*arg, reads);
      return;
    case Expr::Kind::kAggregate:
      walk(*as<promql::AggregateExpr>(expr).inner, reads);
      if (as<promql::AggregateExpr>(expr).parameter) walk(*as<promql::AggregateExpr>(expr).parameter, reads);
      return;
    case Expr::Kind::kNumber:
    case Expr::Kind::kString:
      return;
  }
}

bool asks_queries(const std::map<std::string, std::string>& texts) {
  return std::any_of(texts.begin(), texts.end(),
                     [](const auto& item) { return item.second.find("query") != std::string::npos; });
}

Reads reads_of(const Rule& rule) {
  Reads reads;
  const auto expr = promql::parse(rule.expr, {.experimental = true});
  if (!expr || (rule.kind == Rule::Kind::kAlerting && (asks_queries(rule.labels) || asks_queries(rule.annotations)))) {
    reads.anything = true;
    return reads;
  }
  walk(**expr, reads);
  return reads;
}

// Who writes what, and who reads whom.
class Graph {
 public:
  void add(const Rule& rule) {
    const auto at = reads_.size();
    if (rule.kind == Rule::Kind::kRecording) {
      writers_[rule.name].push_back(at);
    } else {
      writers_["ALERTS"].push_back(at);
      writers_["ALERTS_FOR_STATE"].push_back(at);
    }
    reads_.push_back(reads_of(rule));
  }

  // The rules that rule i reads, itself included where it does; each once, in order. Nothing is told of a rule that
  // may read anything: ask reads_anything.
  std::vector<std::size_t> read_by(std::size_t i) const {
    std::set<std::size_t> found;
    const auto take = [&](const std::vector<std::size_t>& writers) { found.insert(writers.begin(), writers.end()); };
    for (const auto& name : reads_[i].names)
      if (const auto at = writers_.find(name); at != writers_.end()) take(at->second);
    for (const auto& pattern : reads_[i].patterns)
      for (const auto& [name, writers] : writers_)
        if (pattern.matches(name)) take(writers);
    return {found.begin(), found.end()};
  }
  bool reads_anything(std::size_t i) const { return reads_[i].anything; }
  const std::map<std::string, std::vector<std::size_t>>& writers() const { return writers_; }

 private:
  std::map<std::string, std::vector<std::size_t>> writers_;
  std::vector<Reads> reads_;
};

// Tarjan's strongly connected components, without recursion: a file may hold a chain of many thousand rules.
std::vector<std::vector<std::size_t>> rings(const std::vector<std::vector<std::size_t>>& edges) {
  constexpr std::size_t kUnseen = static_cast<std::size_t>(-1);
  struct Visit {
    std::size_t node;
    std::size_t next_edge;
  };
  std::vector<std::size_t> index(edges.size(), kUnseen);
  std::vector<std::size_t> low(edges.size(), 0);
  std::vector<bool> on_stack(edges.size(), false);
  std::vector<std::size_t> stack;
  std::vector<Visit> visits;
  std::vector<std::vector<std::size_t>> found;
  std::size_t count = 0;
  const auto enter = [&](std::size_t node) {
    index[node] = low[node] = count++;
    stack.push_back(node);
    on_stack[node] = true;
    visits.push_back({node, 0});
  };
  for (std::size_t root = 0; root < edges.size(); ++root) {
    if (index[root] != kUnseen) continue;
    enter(root);
    while (!visits.empty()) {
      auto& visit = visits.back();
      const auto node = visit.node;
      if (visit.next_edge < edges[node].size()) {
        const auto to = edges[node][visit.next_edge++];
        if (index[to] == kUnseen)
          enter(to);
        else if (on_stack[to])
          low[node] = std::min(low[node], index[to]);
        continue;
      }
      visits.pop_back();
      if (!visits.empty()) low[visits.back().node] = std::min(low[visits.back().node], low[node]);
      if (low[node] != index[node]) continue;
      std::vector<std::size_t> ring;
      while (on_stack[node]) {
        ring.push_back(stack.back());
        on_stack[stack.back()] = false;
        stack.pop_back();
      }
      if (ring.size() > 1) found.push_back(std::move(ring));
    }
  }
  return found;
}

}  // namespace

std::vector<std::vector<std::size_t>> evaluation_steps(std::span<const Rule> rules) {
  Graph graph;
  for (const auto& rule : rules) graph.add(rule);
  // Of two rules that share a metric the upper one goes first, whichever of them reads: `after` holds for each rule
  // the upper ones that it must wait for.
  std::vector<std::vector<std::size_t>> after(rules.size());
  for (std::size_t i = 0; i < rules.size(); ++i)
    for (const auto other : graph.read_by(i))
      if (other != i) after[std::max(i, other)].push_back(std::min(i, other));
  // Those that write the same series keep their order; a chain is enough, and alerts differ in their labels.
  for (const auto& [name, writers] : graph.writers()) {
    if (name == "ALERTS" || name == "ALERTS_FOR_STATE") continue;
    for (std::size_t k = 1; k < writers.size(); ++k) after[writers[k]].push_back(writers[k - 1]);
  }
  std::vector<std::vector<std::size_t>> steps;
  std::vector<std::size_t> step_of(rules.size(), 0);
  std::size_t floor = 0;  // a rule that may read anything stands alone between those above and those below it
  for (std::size_t i = 0; i < rules.size(); ++i) {
    std::size_t step = floor;
    for (const auto upper : after[i]) step = std::max(step, step_of[upper] + 1);
    if (graph.reads_anything(i)) {
      step = steps.size();
      floor = step + 1;
    }
    step_of[i] = step;
    if (steps.size() <= step) steps.resize(step + 1);
    steps[step].push_back(i);
  }
  return steps;
}

std::vector<std::vector<std::string>> cycles(std::span<const Group> groups) {
  Graph graph;
  std::vector<const Rule*> all;
  for (const auto& group : groups) {
    for (const auto& rule : group.rules) {
      if (rule.kind != Rule::Kind::kRecording) continue;
      graph.add(rule);
      all.push_back(&rule);
    }
  }
  std::vector<std::vector<std::size_t>> edges;
  edges.reserve(all.size());
  for (std::size_t i = 0; i < all.size(); ++i) edges.push_back(graph.read_by(i));
  std::vector<std::vector<std::string>> out;
  for (auto& ring : rings(edges)) {
    std::sort(ring.begin(), ring.end());
    std::vector<std::string> names;
    std::set<std::string_view> seen;
    for (const auto i : ring)
      if (seen.insert(all[i]->name).second) names.push_back(all[i]->name);
    // Rules of one name that read their own metric are the same as one that reads itself.
    if (names.size() > 1) out.push_back(std::move(names));
  }
  return out;
}

}  // namespace qd::judge::rules
