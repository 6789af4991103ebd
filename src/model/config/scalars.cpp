#include "model/config/scalars.h"

#include <algorithm>
#include <vector>

#include "base/strings.h"

namespace qd::model::config {
namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

std::size_t leading_spaces(std::string_view line) {
  return std::min(line.find_first_not_of(' '), line.size());
}

struct BlockHeader {
  char chomping = ' ';  // '-' strips the breaks at the end, '+' keeps them, ' ' keeps one
  std::size_t indent = 0;
};

// The indicator is the first | or > behind which only its digits and signs, and perhaps a comment, stand.
BlockHeader read_header(std::string_view text) {
  for (std::size_t at = text.find_first_of("|>"); at != std::string_view::npos; at = text.find_first_of("|>", at + 1)) {
    BlockHeader header;
    std::size_t i = at + 1;
    for (; i < text.size() && std::string_view("+-123456789").find(text[i]) != std::string_view::npos; ++i) {
      if (text[i] == '+' || text[i] == '-') {
        header.chomping = text[i];
      } else {
        header.indent = static_cast<std::size_t>(text[i] - '0');
      }
    }
    const std::string_view rest = base::trim(text.substr(i));
    const bool is_comment = rest.starts_with('#') && i < text.size() && is_blank(text[i]);
    if (rest.empty() || is_comment) return header;
  }
  return {};
}

std::vector<std::string_view> lines_of(std::string_view raw) {
  auto lines = base::split(raw, '\n');
  lines.pop_back();  // behind the last break only the indentation of what follows may stand
  for (std::string_view& line : lines)
    if (line.ends_with('\r')) line.remove_suffix(1);
  return lines;
}

// Without a number in the header, the first line that holds anything says how deep the block stands.
std::size_t detect_indent(const std::vector<std::string_view>& lines) {
  std::size_t longest = 0;
  for (const std::string_view line : lines) {
    const std::size_t spaces = leading_spaces(line);
    if (spaces < line.size()) return spaces;
    longest = std::max(longest, spaces);
  }
  return longest;
}

}  // namespace

std::string unquote_single(std::string_view raw) {
  const auto trim = [](std::string_view line, bool front, bool back) {
    while (front && !line.empty() && is_blank(line.front())) line.remove_prefix(1);
    while (back && !line.empty() && (is_blank(line.back()) || line.back() == '\r')) line.remove_suffix(1);
    return line;
  };
  const auto lines = base::split(raw, '\n');
  std::string out;
  std::size_t breaks = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const bool is_last = i + 1 == lines.size();
    const std::string_view line = trim(lines[i], i > 0, !is_last);
    if (i > 0) ++breaks;
    if (line.empty() && i > 0 && !is_last) continue;
    if (breaks == 1) out.push_back(' ');
    if (breaks > 1) out.append(breaks - 1, '\n');
    breaks = 0;
    for (std::size_t at = 0; at < line.size(); ++at) {
      out.push_back(line[at]);
      if (line[at] == '\'' && at + 1 < line.size() && line[at + 1] == '\'') ++at;
    }
  }
  return out;
}

std::optional<std::string> read_block(std::string_view header, std::string_view raw, bool is_folded,
                                      std::size_t outer_indent) {
  const BlockHeader indicators = read_header(header);
  const auto lines = lines_of(raw);
  const std::size_t indent = indicators.indent > 0 ? outer_indent + indicators.indent : detect_indent(lines);
  std::string out;
  std::size_t empty_lines = 0;
  bool has_content = false;
  bool was_deeper = false;
  for (std::string_view line : lines) {
    const std::size_t spaces = leading_spaces(line);
    if (spaces == line.size() && spaces <= indent) {
      ++empty_lines;
      continue;
    }
    if (spaces < indent) return std::nullopt;
    line.remove_prefix(indent);
    // Lines that stand deeper than the block do not fold, nor do the breaks beside them.
    const bool is_deeper = is_blank(line.front());
    if (has_content && is_folded && !was_deeper && !is_deeper) {
      out.append(empty_lines == 0 ? 1 : empty_lines, empty_lines == 0 ? ' ' : '\n');
    } else {
      out.append(empty_lines + (has_content ? 1 : 0), '\n');
    }
    out.append(line);
    empty_lines = 0;
    has_content = true;
    was_deeper = is_deeper;
  }
  if (has_content && indicators.chomping != '-') out.push_back('\n');
  if (indicators.chomping == '+') out.append(empty_lines, '\n');
  return out;
}

}  // namespace qd::model::config
