#include "observe/discovery/command_line.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/strings.h"

namespace qd::observe::discovery {
namespace {

constexpr std::size_t kWordsMax = 1000;

bool is_name_part(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

// Appends what the variable at `text[at]` (a '$') stands for; returns where it ends.
std::size_t expand(std::string_view text, std::size_t at, const Environment& environment, std::string& word) {
  const bool braces = at + 1 < text.size() && text[at + 1] == '{';
  const std::size_t begin = at + (braces ? 2 : 1);
  std::size_t end = begin;
  while (end < text.size() && is_name_part(text[end])) ++end;
  const bool closed = !braces || (end < text.size() && text[end] == '}');
  if (end == begin || !closed) {
    word += '$';
    return at + 1;
  }
  if (const auto found = environment.find(std::string(text.substr(begin, end - begin))); found != environment.end())
    word += found->second;
  return end + (braces ? 1 : 0);
}

// Where the substitution that begins at `text[at]` ("$(") ends: behind its ')', or at the end of the text.
std::size_t end_of_substitution(std::string_view text, std::size_t at) {
  int depth = 0;
  for (std::size_t end = at; end < text.size(); ++end) {
    if (text[end] == '(') ++depth;
    if (text[end] == ')' && --depth == 0) return end + 1;
  }
  return text.size();
}

// The file in "$(cat FILE)" and "$(<FILE)"; nothing for what asks for anything else.
std::optional<std::string> file_of_substitution(std::string_view text) {
  if (!text.ends_with(')')) return std::nullopt;
  text = base::trim(text.substr(2, text.size() - 3));
  if (!text.starts_with('<') && !text.starts_with("cat ")) return std::nullopt;
  text = base::trim(text.substr(text.front() == '<' ? 1 : 4));
  if (text.size() >= 2 && (text.front() == '"' || text.front() == '\'') && text.back() == text.front())
    text = text.substr(1, text.size() - 2);
  if (!text.starts_with('/') || text.find_first_of(" \t\n\"'$`|;&<>()\\*?[") != std::string_view::npos)
    return std::nullopt;
  return std::string(text);
}

// Appends what the substitution at `text[at]` stands for; returns where it ends.
std::size_t substitute(std::string_view text, std::size_t at, const ReadFile& read, std::string& word) {
  const std::size_t end = end_of_substitution(text, at);
  const auto all = text.substr(at, end - at);
  const auto file = file_of_substitution(all);
  const auto content = file && read ? read(*file) : std::nullopt;
  word += content ? *content : all;
  return end;
}

bool is_shell(std::string_view program) {
  program.remove_prefix(program.rfind('/') + 1);
  constexpr std::array kShells = {std::string_view("sh"), std::string_view("bash"), std::string_view("ash"),
                                  std::string_view("dash")};
  return std::ranges::find(kShells, program) != kShells.end();
}

// "-c", "-ec": what follows is text for the shell.
bool gives_text(std::string_view word) {
  return word.size() >= 2 && word[0] == '-' && word[1] != '-' && word.back() == 'c';
}

}  // namespace

std::vector<std::string> shell_words(std::string_view text, const Environment& environment, const ReadFile& read) {
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;
  char quote = 0;
  const auto finish = [&] {
    if (in_word && words.size() < kWordsMax) words.push_back(word);
    word.clear();
    in_word = false;
  };
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (quote == 0 && std::isspace(static_cast<unsigned char>(c)) != 0) {
      finish();
      ++at;
      continue;
    }
    in_word = true;
    if (quote == 0 && (c == '\'' || c == '"')) {
      quote = c;
      ++at;
    } else if (quote != 0 && c == quote) {
      quote = 0;
      ++at;
    } else if (c == '\\' && quote != '\'' && at + 1 < text.size()) {
      word += text[at + 1];
      at += 2;
    } else if (c == '$' && quote != '\'' && text.substr(at + 1).starts_with('(')) {
      at = substitute(text, at, read, word);
    } else if (c == '$' && quote != '\'') {
      at = expand(text, at, environment, word);
    } else {
      word += c;
      ++at;
    }
  }
  finish();
  return words;
}

bool is_substituted(std::string_view word) {
  return word.find("$(") != std::string_view::npos || word.find('`') != std::string_view::npos;
}

std::vector<std::string> command_words(const std::vector<std::string>& command, const Environment& environment,
                                       const ReadFile& read) {
  std::vector<std::string> words;
  bool shell = false;
  bool text_comes = false;
  for (const std::string& word : command) {
    if (words.size() >= kWordsMax) break;
    if (text_comes) {
      for (std::string& one : shell_words(word, environment, read)) words.push_back(std::move(one));
      shell = text_comes = false;
      continue;
    }
    text_comes = shell && gives_text(word);
    shell = shell || is_shell(word);
    words.push_back(word);
  }
  return words;
}

std::optional<std::string> option(const std::vector<std::string>& words,
                                  std::initializer_list<std::string_view> names) {
  std::optional<std::string> value;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    for (const std::string_view name : names) {
      if (!word.starts_with(name)) continue;
      const std::string_view rest = word.substr(name.size());
      if (rest.empty()) {
        if (i + 1 < words.size()) value = words[i + 1];
      } else if (rest.front() == '=') {
        value = rest.substr(1);
      } else if (name.size() == 2) {
        value = rest;
      }
    }
  }
  return value;
}

}  // namespace qd::observe::discovery
